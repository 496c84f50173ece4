"""A turn of a panorama about the vertical, and which turns a text can follow.

::

    seen from above, content moved right by 90 degrees      mirrored: left and right change places

          front: lamp             front: bed                    front: lamp           front: lamp
     bed    o    door    ->   sofa   o   lamp              bed    o    door   ->  door   o    bed
          behind: sofa            behind: door                  behind: sofa          behind: sofa
"""

import math
from dataclasses import dataclass

from panollava.geometry.angles import wrap_deg

TOLERANCE_DEG = 1e-6


@dataclass(frozen=True, slots=True)
class Turn:
    """Content mirrored (if ``mirror``), then moved to the right: what was at yaw y is at +-y + ``yaw_deg``.

    The picture is turned by the same columns: ``roll_erp(erp, yaw_deg * W / 360)``.

    Example:
        >>> Turn(450.0)
        Turn(yaw_deg=90.0, mirror=False)
        >>> Turn(30.0, mirror=True).yaw_of(10.0)
        20.0
    """

    yaw_deg: float = 0.0
    mirror: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "yaw_deg", wrap_deg(self.yaw_deg) + 0.0)

    def yaw_of(self, yaw_deg: float) -> float:
        """Return where content of a yaw is afterwards, in [-180, 180) degrees."""
        return wrap_deg((-yaw_deg if self.mirror else yaw_deg) + self.yaw_deg)

    def then(self, other: "Turn") -> "Turn":
        """Return the one turn that does this one and then another."""
        return Turn(other.yaw_of(self.yaw_deg), self.mirror != other.mirror)

    def inverse(self) -> "Turn":
        """Return the turn that undoes this one."""
        return Turn(self.yaw_deg if self.mirror else -self.yaw_deg, self.mirror)

    @property
    def is_identity(self) -> bool:
        """Whether nothing moves."""
        return self.yaw_deg == 0.0 and not self.mirror


@dataclass(frozen=True, slots=True)
class Freedom:
    """Which turns keep a text true.

    Attributes:
        folds: The text can follow turns by multiples of 360 / folds degrees: 4 for quarter turns; 0 for any
            angle; 1 for none. The folds of two texts together are the greatest common divisor.
        mirror: Whether it can follow a mirroring.
    """

    folds: int = 0
    mirror: bool = True

    @property
    def step_deg(self) -> float | None:
        """Smallest allowed turn: 90 for quarter turns, 0 for any angle, None where the text must not turn."""
        if self.folds == 1:
            return None
        return 360.0 / self.folds if self.folds else 0.0

    def meet(self, other: "Freedom") -> "Freedom":
        """Return what both texts can follow.

        Example:
            >>> Freedom(8).meet(Freedom(12, mirror=False))
            Freedom(folds=4, mirror=False)
        """
        return Freedom(math.gcd(self.folds, other.folds), self.mirror and other.mirror)

    def allows(self, turn: Turn) -> bool:
        """Whether a text of this freedom can follow a turn, to a millionth of a degree."""
        if turn.mirror and not self.mirror:
            return False
        if self.folds == 0:
            return True
        steps = turn.yaw_deg * self.folds / 360.0
        return abs(steps - round(steps)) * 360.0 / self.folds <= TOLERANCE_DEG


ANY, NONE = Freedom(), Freedom(folds=1, mirror=False)
