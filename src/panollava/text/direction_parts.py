"""The parts of a text that a turn may change: sectors, sides, angles, clock hours, lists of options.

Each part says how far it can follow a turn, and how it reads afterwards. What it does not say it cannot do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from panollava.geometry.angles import wrap_deg
from panollava.geometry.sphere import SECTORS8
from panollava.text.turn import ANY, NONE, Freedom, Turn

EIGHTH_DEG = 45.0
_OPPOSITE = {"left": "right", "right": "left"}
_OWNER = {"me": "my", "you": "your", "us": "our"}


class Part(Protocol):
    """One stretch of a text."""

    @property
    def freedom(self) -> Freedom:
        """Which turns it can follow."""
        ...

    def turned(self, turn: Turn) -> str:
        """Return how it reads after a turn that its freedom allows."""
        ...


@dataclass(frozen=True, slots=True)
class Plain:
    """Words that no turn changes."""

    text: str
    freedom: Freedom = ANY

    def turned(self, turn: Turn) -> str:  # noqa: ARG002 - nothing changes
        """Return the same words."""
        return self.text


def unclear(text: str) -> Plain:
    """Return a part that holds a direction which the grammar does not understand: it must not turn."""
    return Plain(text, NONE)


@dataclass(frozen=True, slots=True)
class Wording:
    """How a text calls directions: ``behind``, ``back`` or ``rear``, and ``front right`` or ``front-right``."""

    back: str = "behind"
    joint: str = " "

    def name(self, index: int, *, back: str | None = None) -> str:
        """Return the name of sector ``index`` of eight."""
        return SECTORS8[index].replace("behind", back or self.back).replace(" ", self.joint)


@dataclass(frozen=True, slots=True)
class Sector:
    """A direction seen from the camera, one of eight: ``to the right``, ``behind me``, ``front left``.

    Attributes:
        text: As written.
        index: Sector i is centred on 45 i degrees.
        folds: 4 where the text tells four directions, 8 where it tells eight.
        form: ``name``, ``at``, ``to`` / ``on`` + ``the`` (``side``: ``on the left side``), or ``viewer``.
        viewer: ``me``, ``you``, ``the viewer``, of the form ``viewer``.
        wording: How the text calls directions.
        relative: Seen from another heading, which turns with the content: only a mirroring changes it.
    """

    text: str
    index: int
    folds: int
    form: Literal["name", "at", "to", "on", "side", "viewer"]
    viewer: str = ""
    wording: Wording = Wording()
    relative: bool = False

    @property
    def freedom(self) -> Freedom:
        """Quarter or eighth turns."""
        return Freedom(0 if self.relative else self.folds)

    def turned(self, turn: Turn) -> str:
        """Return the phrase for the sector where the content is then."""
        index = turned_sector(self.index, turn, relative=self.relative)
        return self.text if index == self.index else like(self.text, self._phrase(index))

    def _phrase(self, index: int) -> str:
        name, wording = SECTORS8[index], self.wording
        level = "back" if wording.back == "behind" else wording.back
        if self.form == "name":
            return wording.name(index)
        if self.form == "at":
            return f"at {wording.name(index)}"
        if self.form == "side":
            return f"on the {wording.name(index, back=level)} side"
        if self.form == "viewer":
            owner = _OWNER.get(self.viewer, f"{self.viewer}'s")
            plain = {"front": f"in front of {self.viewer}", "behind": f"behind {self.viewer}"}
            return plain.get(name, f"to {owner} {wording.name(index, back=level)}")
        if wording.back == "behind":
            return "in front" if name == "front" else name_or_place(wording.name(index), preposition=self.form)
        return f"{self.form} the {wording.name(index)}"


def name_or_place(name: str, *, preposition: str) -> str:
    """Return ``behind left`` as it is and any other name after ``to the``, as SurroundQA does."""
    return name if name.startswith("behind") else f"{preposition} the {name}"


def turned_sector(index: int, turn: Turn, *, relative: bool = False) -> int:
    """Return where a sector of eight is after a turn by eighths."""
    eighths = 0 if relative else round(turn.yaw_deg / EIGHTH_DEG)
    return ((-index if turn.mirror else index) + eighths) % 8


@dataclass(frozen=True, slots=True)
class Side:
    """``left of the lamp``, ``his right arm``: as seen, so a roll keeps it and a mirroring swaps it."""

    before: str
    side: str
    after: str
    freedom: Freedom = ANY

    def turned(self, turn: Turn) -> str:
        """Return it with left and right swapped if mirrored."""
        side = like(self.side, _OPPOSITE[self.side.lower()]) if turn.mirror else self.side
        return f"{self.before}{side}{self.after}"


@dataclass(frozen=True, slots=True)
class Angle:
    """``bearing 045`` in [0, 360) or ``yaw -90`` in [-180, 180), with as many decimals as it is written with."""

    before: str
    number: str
    after: str
    signed: bool
    relative: bool = False

    @property
    def _decimals(self) -> int:
        return len(self.number.partition(".")[2])

    @property
    def freedom(self) -> Freedom:
        """Turns by the last decimal written: whole degrees for ``45``."""
        return NONE if self.relative else Freedom(360 * 10**self._decimals)

    def turned(self, turn: Turn) -> str:
        """Return it with the number turned and wrapped."""
        value = round(turn.yaw_of(float(self.number)), self._decimals) + 0.0
        if self.signed:
            plus = "+" if self.number.startswith("+") and value >= 0 else ""
            return f"{self.before}{plus}{wrap_deg(value):.{self._decimals}f}{self.after}"
        whole = len(self.number.partition(".")[0])
        width = 3 + (self._decimals + 1 if self._decimals else 0) if whole == 3 else 0
        return f"{self.before}{value % 360.0:0{width}.{self._decimals}f}{self.after}"


@dataclass(frozen=True, slots=True)
class Steering:
    """The answer to how far one must turn: ``right 45 degrees``, ``stay``, ``turn left by 90 degrees``.

    Attributes:
        text: As written.
        angle_deg: To the right positive.
        decimals: Of the number, as written.
        pattern: With ``{side}`` and ``{number}``; empty for SurroundQA's short form, whose 0 is ``stay`` and
            whose 180 is ``turn around``.
        relative: From a heading that turns with the content.
    """

    text: str
    angle_deg: float
    decimals: int
    pattern: str = ""
    relative: bool = False

    @property
    def freedom(self) -> Freedom:
        """Eighth turns: the answer is one of eight."""
        return Freedom(0 if self.relative else 8)

    def turned(self, turn: Turn) -> str:
        """Return the turn to the new place of what is faced."""
        moved = Turn(0.0 if self.relative else turn.yaw_deg, turn.mirror)
        angle = round(moved.yaw_of(self.angle_deg), self.decimals)
        side = "left" if -180.0 < angle < 0.0 else "right"
        if not self.pattern and angle in (0.0, -180.0):
            return like(self.text, "turn around" if angle else "stay")
        pattern = self.pattern or "{side} {number} degrees"
        return like(self.text, pattern.format(side=side, number=f"{abs(angle):.{self.decimals}f}"))


@dataclass(frozen=True, slots=True)
class Clock:
    """``at 3 o'clock``: hours of 30 degrees, 12 in front."""

    before: str
    hour: int
    after: str
    relative: bool = False

    @property
    def freedom(self) -> Freedom:
        """Twelfth turns."""
        return Freedom(0 if self.relative else 12)

    def turned(self, turn: Turn) -> str:
        """Return it with the hour turned."""
        moved = Turn(0.0 if self.relative else turn.yaw_deg, turn.mirror)
        return f"{self.before}{round(moved.yaw_of(30.0 * self.hour) / 30.0 - 1) % 12 + 1}{self.after}"


def options(text: str, indices: Sequence[int], *, relative: bool) -> Plain:
    """Return a list of directions to choose from, ``front, right, behind or left``: it stays as it is.

    It can follow the turns that map the set of its directions onto itself.
    """
    held = frozenset(indices)
    folds = next((n for n in (8, 4, 2) if held == {(i + 8 // n) % 8 for i in held}), 1)
    mirrored = held == {-i % 8 for i in held}
    return Plain(text, Freedom(0 if relative else folds, mirrored))


def like(original: str, text: str) -> str:
    """Return a text in the case of the original: ``UPPER``, ``Title Case``, ``Capitalised`` or as it is.

    Example:
        >>> like("Front Right", "behind left"), like("Right", "behind"), like("LEFT", "in front")
        ('Behind Left', 'Behind', 'IN FRONT')
    """
    words = original.replace("-", " ").split()
    if len(original) > 1 and original.isupper():
        return text.upper()
    if len(words) > 1 and all(word[0].isupper() for word in words):
        return text.title()
    return text[0].upper() + text[1:] if original[:1].isupper() else text
