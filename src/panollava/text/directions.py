"""Carry a text along when its panorama turns: what was true stays true, or an error says why it cannot.

    freedom(text)            which turns the text can follow
    transport(text, turn)    the text after the turn

Training (`data.augment`) and evaluation (`evaluation.panoramic`) use these same functions. An answer is read together
with its question: "right" after "facing the bed, ... to the left or to the right?" does not turn with the camera.

Directions seen from the camera turn (sectors, bearings, clock hours, turns to face something). Relations between two
things ("left of the lamp") do not, but a mirroring swaps their left and right. Heights and compass points never turn.
"""

import re
from collections.abc import Iterable

from panollava.errors import DataError
from panollava.text.direction_grammar import Frame, holds_direction, scan
from panollava.text.direction_parts import Angle, Part, Plain, Sector, Steering, Wording, unclear
from panollava.text.turn import ANY, Freedom, Turn

_FACING = re.compile(
    r"^\W*(?:(?:when|if|while) )?(?:(?:i am|i'm|you are|you're) )?facing (?:the|an?|this|that)\b.*\?", re.I | re.S
)
# The heading is another one than the camera's, or changes on the way: no part of such a text is understood.
_MOVED = re.compile(
    r"\b(?:if|after|when|once|while|having)\b[^.?!]*\b(?:turn|face|facing|rotat|walk|mov|look|stand)"
    r"|\b(?:seen|viewed|looking|look) from\b|\bstanding (?:at|by|next|in|on)\b|\brelative to\b|\bpoint of view\b"
    r"|\bperspective\b|\bfacing (?:north|south|east|west|left|right|forwards?|backwards?|away)\b",
    re.IGNORECASE,
)
_EIGHT = re.compile(r"\b(?:front|behind|back|rear)[ -](?:left|right)\b|\beight directions\b", re.IGNORECASE)
_ASKS_ANGLE = re.compile(r"\b(?:bearing|yaw)\b(?!\D{0,30}\d)", re.IGNORECASE)
_ASKS_TURN = re.compile(r"\b(?:turn|face|rotate)\b", re.IGNORECASE)
_NUMBER = re.compile(
    r"(?P<before>\s*)(?P<number>[-+]?\d+(?:\.\d+)?)(?P<after>\s*(?:degrees?|deg|\u00b0)?[.!]?\s*)$", re.IGNORECASE
)
_STEERING = re.compile(
    r"(?P<lead>(?:you (?:must|should|need to|have to) )?(?:turn )?)(?P<by>(?:to the )?)(?P<side>left|right)"
    r"(?P<mid> (?:by )?)(?P<number>\d+(?:\.\d+)?)(?P<tail> degrees?(?: to face [^.?!]*)?)(?P<stop>[.!]?\s*)$",
    re.IGNORECASE,
)
_SHORT = re.compile(r"(?P<word>stay|turn around)(?P<stop>[.!]?\s*)$", re.IGNORECASE)
# A mirror writes backwards and turns the compass over.
_NO_MIRROR = re.compile(
    r"\b(?:(?:north|south)(?:-?(?:east|west))?|east|west)(?:ern|wards?)?\b"
    r"|\b(?:signs?|text|letters?|words?|written|writing|reads?|says?|logo|label(?:led|ed)?)\b"
    r"|\b(?:number|licen[cs]e) plate\b",
    re.IGNORECASE,
)


def transport(text: str, turn: Turn, *, question: str | None = None) -> str:
    """Return a text as it is true of the turned panorama; words may come back in canonical form.

    Args:
        text: A question, an answer or a caption.
        turn: What is done to the panorama.
        question: What the text answers, if it is an answer.

    Raises:
        DataError: The text cannot follow this turn: "right" of four directions does not turn by 45 degrees.

    Example:
        >>> transport("What is to my left?", Turn(90.0)), transport("a bed, at bearing 315, front left.", Turn(90.0))
        ('What is in front of me?', 'a bed, at bearing 045, front right.')
        >>> transport("Is the cup left of the lamp?", Turn(10.0, mirror=True))
        'Is the cup right of the lamp?'
    """
    if turn.is_identity:
        return text
    parts = _parts(text, question)
    allowed = _freedom(text, parts)
    if not allowed.allows(turn):
        raise DataError(_refusal(text, turn, allowed, parts))
    return "".join(part.turned(turn) for part in parts)


def freedom(text: str, *, question: str | None = None) -> Freedom:
    """Return which turns keep a text true.

    Args:
        text: A question, an answer or a caption.
        question: What the text answers, if it is an answer.

    Example:
        >>> freedom("front right"), freedom("What is behind me?"), freedom("from left to right: a bed, a lamp")
        (Freedom(folds=8, mirror=True), Freedom(folds=4, mirror=True), Freedom(folds=1, mirror=False))
    """
    return _freedom(text, _parts(text, question))


def conversation_freedom(pairs: Iterable[tuple[str, str]]) -> Freedom:
    """Return which turns keep all of these (question, answer) pairs true."""
    common = ANY
    for question, answer in pairs:
        common = common.meet(freedom(question)).meet(freedom(answer, question=question))
    return common


def allowed_step_deg(texts: Iterable[str]) -> float | None:
    """Return the smallest turn that all texts can follow: 0 any angle, None none but the identity.

    Example:
        >>> allowed_step_deg(["a red cube"]), allowed_step_deg(["front right", "at 3 o'clock"])
        (0.0, 90.0)
        >>> allowed_step_deg(["the leftmost chair"]) is None
        True
    """
    common = ANY
    for text in texts:
        common = common.meet(freedom(text))
    return common.step_deg


def _freedom(text: str, parts: Iterable[Part]) -> Freedom:
    common = Freedom(mirror=_NO_MIRROR.search(text) is None)
    for part in parts:
        common = common.meet(part.freedom)
    return common


def _parts(text: str, question: str | None) -> list[Part]:
    context = text if question is None else f"{question}\n{text}"
    asks_angle = question is not None and _ASKS_ANGLE.search(question) is not None
    if not (holds_direction(text) or _SHORT.match(text) or asks_angle):
        return [Plain(text)]
    relative = _FACING.match(text if question is None else question) is not None
    frame = Frame(_wording(text), 8 if _EIGHT.search(context) else 4, relative)
    steers = question is None or _ASKS_TURN.search(question) is not None
    parts = _whole(text, asks_angle=asks_angle, steers=steers, relative=relative)
    if parts is None:
        parts = scan(text, frame)
        if asks_angle:  # a number that no rule has read may be the angle
            parts = [unclear(p.text) if isinstance(p, Plain) and re.search(r"\d", p.text) else p for p in parts]
    if not relative and _MOVED.search(context) and any(part.freedom != ANY for part in parts):
        return [unclear(text)]
    return parts


def _whole(text: str, *, asks_angle: bool, steers: bool, relative: bool) -> list[Part] | None:
    """Read a text that is one angle: the bare number that was asked for, or how far to turn."""
    if asks_angle and (match := _NUMBER.match(text)):
        number = match["number"]
        return [Angle(match["before"], number, match["after"], number.startswith("-"), relative)]
    if steers and (match := _SHORT.match(text)):
        angle = 0.0 if match["word"].lower() == "stay" else -180.0
        return [Steering(match["word"], angle, 0, relative=relative), Plain(match["stop"])]
    if match := _STEERING.match(text):
        angle = float(match["number"]) * (1.0 if match["side"].lower() == "right" else -1.0)
        pattern = "{}{}{{side}}{}{{number}}{}".format(
            *(match[k].replace("{", "{{") for k in ("lead", "by", "mid", "tail"))
        )
        short = pattern == "{side} {number} degrees"
        said = text[: match.start("stop")]
        decimals = len(match["number"].partition(".")[2])
        return [Steering(said, angle, decimals, "" if short else pattern, relative), Plain(match["stop"])]
    return None


def _wording(text: str) -> Wording:
    words = text.lower()
    back = next((word for word in ("back", "rear") if re.search(rf"\b{word}\b", words)), "behind")
    hyphen = re.search(r"\b(?:front|behind|back|rear)-(?:left|right)\b", words)
    return Wording("behind" if re.search(r"\bbehind\b", words) else back, "-" if hyphen else " ")


def _refusal(text: str, turn: Turn, allowed: Freedom, parts: Iterable[Part]) -> str:
    what = f"yaw {turn.yaw_deg:g} degrees{', mirrored' if turn.mirror else ''}"
    step = "none" if allowed.step_deg is None else f"multiples of {allowed.step_deg:g} degrees"
    mirror = "" if allowed.mirror else ", and no mirroring"
    blamed = [p for p in parts if not p.freedom.allows(turn)]
    where = ""
    if blamed and isinstance(blamed[0], Sector | Plain | Steering):
        where = f" because of '{blamed[0].text.strip()[:60]}'"
    return (
        f"the text '{text[:120]}' cannot follow a turn of {what}{where}. Allowed: {step}{mirror}. "
        "Ask freedom() first, and draw a turn that it allows."
    )
