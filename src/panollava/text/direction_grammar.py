"""Which words are directions: one table of rules, tried in order at every word.

::

    "In front is a bed. To the left of the door is a lamp, behind me nothing is left."
     Sector 0           Side                              Sector 4 Plain (idiom)

A rule that does not fit gives way to the next one; a word of `_WATCHED` that no rule has read makes the text
unclear, and an unclear text must not turn. So a rule may be strict: what it leaves is refused, never guessed.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from panollava.geometry.sphere import SECTORS8
from panollava.text.direction_parts import Angle, Clock, Part, Plain, Sector, Side, Wording, options, unclear

_DIAGONAL = r"(?:front|behind|back|rear)[ -](?:left|right)"
NAME = rf"(?:{_DIAGONAL}|front|right|behind|left|back|rear)"
# What may follow a direction without making it another word's: "to the left wall" is not "to the left".
_END = (
    r"(?=\s*(?:[.,;:!?)\]\"]|$)"
    r"|\s+(?:is|are|was|were|there|and|or|but|stands?|lies?|sits?|hangs?|at|while|i|we|you)\b)"
)
_VIEWER = r"(?:me|you|us|the (?:viewer|camera|observer))\b"
_OWNER = r"(?:my|your|our|the (?:viewer|camera|observer)'s)"
_SIDE = r"(?:[ -]hand)?(?: side)?"
_PICTURE = r"the (?:room|picture|image|photo(?:graph)?|scene|panorama|frame|view|screen|sphere)\b"
_THINGS = r"(?:the|an?|its?|him|her|them|his|their|this|that|these|those|each|one|another|both|all|some)\b"
_LIMBS = r"(?:hand|arm|leg|foot|eye|ear|shoulder|knee|wing|paw)s?\b"
_IDIOMS = (
    r"all right|that'?s right|right of way|go ahead"
    r"|right(?: now| away| here| there| angles?|-angled?)\b"
    r"|right(?= (?:behind|in front|next|above|below|under|beside|on top|over|across|opposite)\b)"
    r"|(?:is|are|was|were|be|been|has|have|had|being|gets?|got|nothing|anything|something) left"
    r"(?= (?:open|over|out|off|alone|unlocked|ajar|empty|unattended|for|to)\b)"
    r"|nothing is left|left[- ]?overs?|left (?:open|ajar|alone|empty|over|unlocked|unattended)\b"
    r"|front (?:doors?|desk|yard|porch|row)\b|back (?:doors?|yard|garden|and forth)\b"
    r"|(?:come|go|goes|look|bring) back\b"
    rf"|(?:at|on|in) the (?:front|back|rear) of (?!{_PICTURE}|{_VIEWER})"
    rf"|(?:in front|ahead) of (?!{_VIEWER})(?=\w)|behind (?={_THINGS})(?!{_VIEWER})"
    r"|pitch(?: of| is|:| =|=)? ?[-+]?\d+(?:\.\d+)?(?: ?(?:degrees?|deg\b|\u00b0))?"
    r"|\d+(?:\.\d+)?[ -]?(?:degrees?|\u00b0) (?:up|down|above|below|high)\b"
    r"|360[ -]?(?:degrees?\b|\u00b0)"
)
# Where a bare name may stand: at the start of the text or after punctuation.
_OPENING = r"(?:(?<=[.:;,(] )|(?<![\s\S]))"
_BETWEEN = r"(?:\s*,\s*(?:(?:and|or)\s+)?|\s*/\s*|\s+(?:and|or)\s+)"
_OPTION = rf"(?:(?:(?:to|on|at) )?(?:the |{_OWNER} )|at |in )?{NAME}(?: of {_VIEWER}| {_VIEWER})?"

_WATCHED = re.compile(
    r"\b(?:left|right|front|behind|back|rear|ahead|forwards?|backwards?|leftmost|rightmost|leftwards?|rightwards?"
    r"|sideways|(?:counter-?|anti-?)?clockwise|o'?clock|degrees?|turn(?:ing|ed)? (?:around|back)"
    r"|(?:quarter|half|full)[ -]turn|azimuth|longitude|seam)\b"
    rf"|\b(?:cent(?:er|re)|middle|edges?|borders?|corners?|sides?) of {_PICTURE}"
    r"|\u00b0|\b(?:bearing|yaw|heading)\b[^.?!]{0,30}?\d|[\[(]\s*[-+]?\d+(?:\.\d+)?\s*,\s*[-+]?\d",
    re.IGNORECASE,
)

# Letters of other scripts than Latin: the rules are English, and cannot tell whether such a word is a direction.
_FOREIGN = re.compile(r"[^\W\d_\u0000-\u024f]")


@dataclass(frozen=True, slots=True)
class Frame:
    """How directions of a text are meant: what its wording, and the question it answers, say about it."""

    wording: Wording
    folds: int
    relative: bool


Reading = Callable[[re.Match[str], Frame], Part | None]


def scan(text: str, frame: Frame) -> list[Part]:
    """Return the parts of a text; joined, their texts are the text.

    Args:
        text: Any text.
        frame: How its directions are meant.
    """
    parts: list[Part] = []
    done = at = 0
    while word := _WORD.search(text, at):
        found, at = _read(text, word.start(), frame), word.end()
        if found is not None:
            part, stop = found
            parts += [_rest(text[done : word.start()]), part]
            done = at = stop
    return [part for part in (*parts, _rest(text[done:])) if part != Plain("")]


def holds_direction(text: str) -> bool:
    """Whether a text has any word that may be a direction."""
    return _WATCHED.search(text) is not None or _FOREIGN.search(text) is not None


_WORD = re.compile(r"(?<![\w'])\w+")


def _read(text: str, start: int, frame: Frame) -> tuple[Part, int] | None:
    for pattern, reading in _RULES:
        match = pattern.match(text, start)
        part = reading(match, frame) if match else None
        if match and part is not None:
            return part, match.end()
    return None


def _rest(text: str) -> Plain:
    return unclear(text) if holds_direction(text) else Plain(text)


def _index(name: str) -> int:
    words = re.sub(r"\b(?:back|rear)\b", "behind", name.lower().replace("-", " "))
    return SECTORS8.index(words)


def _idiom(match: re.Match[str], _: Frame) -> Part:
    return Plain(match[0])


def _options(match: re.Match[str], frame: Frame) -> Part:
    names = re.findall(rf"\b{NAME}\b", match[0], flags=re.IGNORECASE)
    return options(match[0], [_index(name) for name in names], relative=frame.relative)


def _side(match: re.Match[str], _: Frame) -> Part:
    before, side, after = match.groups()
    return Side(before, side, after)


def _viewer(match: re.Match[str], frame: Frame) -> Part:
    """Read ``behind me``, ``in front of you``, ``to my left``, ``behind me to the left``."""
    found = match.groupdict()
    viewer = (found["viewer"] or "").lower() or {"my": "me", "your": "you", "our": "us"}.get(
        found["owner"].lower(), found["owner"].lower().removesuffix("'s")
    )
    if found["aside"]:
        first = "behind" if match[0].lower().startswith("behind") else "front"
        return _sector(match, frame, f"{first} {found['aside']}", "viewer", viewer)
    name = found["name"] or ("behind" if match[0].lower().startswith("behind") else "front")
    return _sector(match, frame, name, "viewer", viewer)


def _placed(match: re.Match[str], frame: Frame) -> Part:
    """Read ``to the front right``, ``on the left side``, ``in front``, ``ahead``, ``behind``, ``at left``."""
    found = match.groupdict()
    name = found["the"] or found["at"]
    if name is None:
        name = "behind" if match[0].lower().startswith("behind") else "front"
        name += f" {found['beside']}" if found["beside"] else ""
    if found["at"]:
        return _sector(match, frame, name, "at")
    if match[0].lower().endswith("side"):
        return _sector(match, frame, name, "side")
    return _sector(match, frame, name, "on" if match[0].lower().startswith("on ") else "to")


def _named(match: re.Match[str], frame: Frame) -> Part | None:
    """Read a bare name; "Right, ..." at the start of a text may be a word of consent."""
    if match.start() == 0 and match.string[match.end() :].startswith(",") and match[0].lower() in ("left", "right"):
        return None
    return _sector(match, frame, match[0], "name")


def _sector(match: re.Match[str], frame: Frame, name: str, form: str, viewer: str = "") -> Part:
    index = _index(name)
    folds = 8 if index % 2 else frame.folds
    return Sector(match[0], index, folds, form, viewer, frame.wording, frame.relative)  # type: ignore[arg-type]


def _angle(match: re.Match[str], frame: Frame) -> Part:
    signed = match["kind"].lower() == "yaw" or match["number"].startswith("-")
    return Angle(match["before"], match["number"], match["after"] or "", signed, frame.relative)


def _clock(match: re.Match[str], frame: Frame) -> Part | None:
    hour = int(match["hour"])
    return Clock(match["before"], hour, match["after"], frame.relative) if 1 <= hour <= 12 else None


def _rule(pattern: str, reading: Reading) -> tuple[re.Pattern[str], Reading]:
    return re.compile(pattern, re.IGNORECASE), reading


_NO_VIEWER = r"(?P<viewer>(?!))?"
_RULES = (
    _rule(_IDIOMS, _idiom),
    _rule(r"left behind\b", lambda match, _: unclear(match[0])),
    _rule(rf"{_OPTION}(?:{_BETWEEN}{_OPTION})+{_END}", _options),
    _rule(
        rf"(?:behind|in front of) (?P<viewer>{_VIEWER})(?:,| and)? (?:to|on) (?:the|{_OWNER}) (?P<aside>left|right)\b"
        r"(?P<name>(?!))?(?P<owner>(?!))?",
        _viewer,
    ),
    _rule(
        rf"(?:(?:in front|ahead) of|behind) (?P<viewer>{_VIEWER})(?P<name>(?!))?(?P<owner>(?!))?(?P<aside>(?!))?",
        _viewer,
    ),
    _rule(rf"(?:to|on|at) (?P<owner>{_OWNER}) (?P<name>{NAME}){_SIDE}{_END}{_NO_VIEWER}(?P<aside>(?!))?", _viewer),
    _rule(
        rf"(?:to|on|at) the (?P<name>left|right)(?P<owner>(?!))?(?P<aside>(?!))?{_SIDE} of (?P<viewer>{_VIEWER})",
        _viewer,
    ),
    _rule(rf"((?:to|on|at) the (?:immediate )?)(left|right)({_SIDE} of )(?!{_PICTURE})", _side),
    _rule(r"((?:to|on|at|in) (?:its|his|her|their) )(left|right)\b()", _side),
    _rule(rf"()(left|right)( of )(?!{_PICTURE}|{_VIEWER})", _side),
    _rule(rf"()(left|right)([ -]{_LIMBS})(?! side)", _side),
    _rule(rf"{_OPENING}(?:front|right|behind|left|back|rear)(?=\s*(?:[.,:;)?!]|$))", _named),
    _rule(rf"{_OPENING}{_DIAGONAL}{_END}", _named),
    _rule(
        rf"(?:(?:to|on|at) the (?P<the>{NAME}){_SIDE}|in front|(?:straight |directly )?ahead"
        rf"|behind(?:[ -](?P<beside>left|right))?){_END}(?P<at>(?!))?",
        _placed,
    ),
    _rule(rf"at (?P<at>{NAME}){_END}(?P<the>(?!))?(?P<beside>(?!))?", _placed),
    _rule(rf"{_DIAGONAL}{_END}", _named),
    _rule(
        r"(?P<before>(?P<kind>bearing|yaw)(?: angle)?(?: of| is)?\s*[:=]?\s*)(?P<number>[-+]?\d+(?:\.\d+)?)"
        r"(?P<after>\s*(?:degrees?|deg\b|\u00b0))?",
        _angle,
    ),
    _rule(
        r"(?P<before>(?:at|to|on) (?:my |your |the )?)(?P<hour>\d{1,2})(?P<after> ?o'?clock)\b(?! (?:in|on) )", _clock
    ),
)
