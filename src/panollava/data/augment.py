"""Turn, mirror and tilt training panoramas, and carry their texts along.

::

    (seed, epoch, index) -> draw, within what the texts can follow -> mirror -> roll by whole columns: exact
                                                                          '-> roll in part or tilt: one resampling
                                                 texts <- text.directions <- the same turn

A draw is a pure function of (seed, epoch, index), of the width of the panorama and of the freedom of its texts, so
that any number of loader processes makes the same batches, and a run that resumes sees what it would have seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Shaped

from panollava.config.augment import AugmentConfig
from panollava.data.images import DEFAULT_OPTIONS, ImageOptions
from panollava.data.order import uniforms
from panollava.data.views import Tensors, drawn_from, load_erp, views_of
from panollava.errors import DataError
from panollava.geometry import ViewLayout, roll_erp, rotation
from panollava.geometry.rotate import rotate_erp
from panollava.text.directions import conversation_freedom, transport
from panollava.text.turn import ANY, Freedom, Turn

Pairs = Sequence[tuple[str, str]]
_WHOLE = 1e-6  # columns


@dataclass(frozen=True, slots=True)
class Augment:
    """What may be drawn.

    Attributes:
        seed: Of all draws.
        yaw: ``none``, ``stride`` (the steps of the ring of views), ``columns`` (whole columns) or ``any``.
        mirror: Probability of a mirroring.
        pitch_jitter_deg: Largest pitch to either side.
        roll_jitter_deg: Largest roll to either side.
        ring: Number of views in the ring, for ``stride``.
    """

    seed: int
    yaw: Literal["none", "stride", "columns", "any"] = "none"
    mirror: float = 0.0
    pitch_jitter_deg: float = 0.0
    roll_jitter_deg: float = 0.0
    ring: int = 0

    @classmethod
    def from_settings(cls, augment: AugmentConfig, *, layout: ViewLayout, seed: int) -> "Augment | None":
        """Return the augmentation of a configuration, or None where it asks for none.

        Raises:
            DataError: ``stride`` with a layout that has no ring.
        """
        made = cls(
            seed,
            yaw=augment.yaw,
            mirror=augment.mirror,
            pitch_jitter_deg=augment.pitch_jitter_deg,
            roll_jitter_deg=augment.roll_jitter_deg,
            ring=len(layout.ring_indices),
        )
        if made.yaw == "stride" and not made.ring:
            raise DataError(
                f"data.augment.yaw is stride, but layout '{layout.name}' has no ring of views whose steps could be "
                "taken. Choose columns or any, or views.kind: e2p."
            )
        return None if made == cls(seed, ring=made.ring) else made

    @property
    def shifts(self) -> bool:
        """Whether every draw is a turn by whole steps of the ring: a shift of views, which kept features can follow."""
        return self == Augment(self.seed, "stride", ring=self.ring)

    def steps(self, turn: Turn) -> int:
        """Return a turn as steps of the ring to the right.

        Example:
            >>> Augment(seed=0, yaw="stride", ring=8).steps(Turn(-90.0))
            6
        """
        return round(turn.yaw_deg * self.ring / 360.0) % self.ring


@dataclass(frozen=True, slots=True)
class Draw:
    """One draw: the turn, which texts follow, and the tilt of the camera afterwards, which they do not mention."""

    turn: Turn
    pitch_deg: float = 0.0
    roll_deg: float = 0.0


def draw(augment: Augment, *, epoch: int, index: int, freedom: Freedom = ANY, width: int | None = None) -> Draw:
    """Draw for one panorama in one epoch, evenly among the turns that its texts can follow.

    Args:
        augment: What may be drawn.
        epoch: The epoch.
        index: The panorama's place in the data.
        freedom: What its texts can follow.
        width: Columns of the panorama; None where nobody looks at it.

    Example:
        >>> draw(Augment(seed=0, yaw="columns"), epoch=3, index=5, freedom=Freedom(4), width=512).turn
        Turn(yaw_deg=-90.0, mirror=False)
    """
    place, flip, pitch, roll = (float(u) for u in uniforms(4, seed=augment.seed, epoch=epoch, stream=-1 - index))
    grid = {"none": 1, "stride": augment.ring, "columns": width or 0, "any": 0}[augment.yaw]
    folds = gcd(grid, freedom.folds)
    yaw_deg = 360.0 * int(place * folds) / folds if folds else 360.0 * place
    return Draw(
        Turn(yaw_deg, mirror=freedom.mirror and flip < augment.mirror),
        (2.0 * pitch - 1.0) * augment.pitch_jitter_deg,
        (2.0 * roll - 1.0) * augment.roll_jitter_deg,
    )


def apply_draw(erp: Shaped[np.ndarray, "height width *channels"], drawn: Draw) -> np.ndarray:
    """Return the panorama after a draw: mirrored, then turned; tilted last, with the turn, in one resampling.

    A turn by whole columns without a tilt moves pixels and changes none.

    Raises:
        GeometryError: a panorama that cannot be resampled.

    Example:
        >>> apply_draw(np.array([[1, 2, 3, 4]], np.uint8), Draw(Turn(90.0, mirror=True))).tolist()
        [[1, 4, 3, 2]]
    """
    if drawn.turn.mirror:
        erp = cv2.flip(erp, 1).reshape(erp.shape)  # many times faster than [:, ::-1]
    columns = drawn.turn.yaw_deg * erp.shape[1] / 360.0
    if drawn.pitch_deg == 0.0 and drawn.roll_deg == 0.0 and abs(columns - round(columns)) < _WHOLE:
        return roll_erp(erp, round(columns)) if round(columns) else erp
    return rotate_erp(erp, rotation(-drawn.turn.yaw_deg, drawn.pitch_deg, drawn.roll_deg))


def carry(pairs: Pairs, turn: Turn) -> list[tuple[str, str]]:
    """Return (query, answer) pairs after a turn, each answer read together with its query.

    Raises:
        DataError: A text cannot follow the turn.

    Example:
        >>> carry([("what is behind me?", "a lamp"), ("where is the bed?", "left")], Turn(90.0))
        [('what is to my left?', 'a lamp'), ('where is the bed?', 'front')]
    """
    return [(transport(query, turn), transport(answer, turn, question=query)) for query, answer in pairs]


def augmented(
    image: Path,
    pairs: Pairs,
    augment: Augment,
    *,
    layout: ViewLayout | None,
    epoch: int,
    index: int,
    images: ImageOptions = DEFAULT_OPTIONS,
) -> tuple[Tensors, list[tuple[str, str]]]:
    """Return the views of a turned panorama, grouped by size, and its (query, answer) pairs turned likewise.

    Args:
        image: The panorama file.
        pairs: Its texts; none where the objective reads none.
        augment: What may be drawn.
        layout: The views; None for a blind model, which looks at no file and gets no views.
        epoch: The epoch.
        index: The panorama's place in the data.
        images: How files are read.

    Raises:
        DataError: If the file is not a usable panorama.
    """
    freedom = conversation_freedom(pairs)
    if layout is None:
        return (), carry(pairs, draw(augment, epoch=epoch, index=index, freedom=freedom).turn)
    erp = load_erp(image, layout, images=images)
    drawn = draw(augment, epoch=epoch, index=index, freedom=freedom, width=erp.shape[1])
    with drawn_from(image):
        views = views_of(apply_draw(erp, drawn), layout, antialias=images.antialias)
    return views, carry(pairs, drawn.turn)
