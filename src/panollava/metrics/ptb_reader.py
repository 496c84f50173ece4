"""Reading a line by the rules of ``ptb_rules``: at every place the longest match, written as the original does."""

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from panollava.metrics.ptb_rules import BY_START, DIGIT, LETTER, MARK, UNKNOWN, Rule

_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
_MAPPED = {
    **_BRACKETS,
    **dict.fromkeys("\x80\u00a4\u20a0\u20ac", "$"),
    "\u00a2": "cents",
    "\u00a3": "#",
    "\u00bc": "1/4",
    "\u00bd": "1/2",
    "\u00be": "3/4",
    "\u2153": "1/3",
    "\u2154": "2/3",
    **dict.fromkeys("\u0096\u0097\u2013\u2014\u2015", "--"),
    **dict.fromkeys("\u0091\u2018\u201b\u2039", "`"),
    **dict.fromkeys("\u0092\u2019\u203a", "'"),
    **dict.fromkeys("\u0093\u00ab\u201c", "``"),
    **dict.fromkeys('"\u0094\u00bb\u201d', "''"),
    "\u00ad": "",
    **dict.fromkeys("\u0085\u2026", "..."),
}
_ENTITIES = {
    "&amp;": "&",
    "&lt;": "<",
    "&gt;": ">",
    "&quot;": "''",
    "&nbsp;": "",
    "&apos;": "'",
    "&mdash;": "--",
    "&ndash;": "--",
    "&md;": "--",
}
_ACCENTED = re.compile("&[aeiouAEIOU](?i:acute|grave|uml);")  # the entities that it takes for letters
_PLAIN_QUOTES = str.maketrans("\u2019\u0092\u2018\u201b\u0091", "''```")


@cache
def _start(character: str) -> tuple[re.Pattern[str], tuple[Rule, ...]]:
    """Return the rules for tokens that start so, as one pattern that tries them all, and the rules.

    Group 2 k + 1 is what rule k takes with what it must see behind it, group 2 k + 2 the token alone.
    """
    if (character.isascii() and character.isalpha()) or character in (LETTER, MARK):
        kind = "letter"
    elif (character.isascii() and character.isdigit()) or character == DIGIT:
        kind = "digit"
    else:
        kind = next((start for start in BY_START if start not in ("letter", "digit") and character in start), "")
    rules = BY_START[kind]
    return re.compile("".join(f"(?=(({rule.token}){rule.ahead})?)" for rule in rules)), rules


@cache
def _kinds() -> str:
    """Return, for every character of the basic plane, the one that stands for it in the rules."""
    runs = files("panollava.metrics").joinpath("ptb_characters.txt").read_text(encoding="ascii").split()
    signs = {"L": LETTER, "M": MARK, "D": DIGIT, "U": UNKNOWN}
    table, place = [], 0
    for run in runs:
        kind, length = run[0], int(run[1:])
        table.append(signs[kind] * length if kind in signs else "".join(map(chr, range(place, place + length))))
        place += length
    return "".join(table)


def _as_rules_see(text: str) -> str:
    """Return the text in the alphabet of the rules, as long as it was."""
    kinds = _kinds()
    text = _ACCENTED.sub(lambda entity: MARK * len(entity.group()), text)
    return "".join(kinds[ord(sign)] if ord(sign) < len(kinds) else UNKNOWN for sign in text)


def read_tokens(text: str, *, following: str = "") -> Iterator[str]:
    """Yield the tokens of one line in lower case, without periods, dashes and quotes.

    Args:
        text: one line.
        following: what comes after the line's end; a single letter with a period is read with regard to it.

    Example:
        >>> list(read_tokens("Model T.")), list(read_tokens("Model T.", following="A car"))
        (['model', 't.'], ['model', 't'])
    """
    seen = f"{_as_rules_see(text)}\n{_as_rules_see(following)}\n"
    place, end = 0, len(text)
    while place < end:
        if seen[place] in " \t\n":
            place += 1
            continue
        pattern, rules = _start(seen[place])
        match = pattern.match(seen, place)
        assert match is not None  # every part of the pattern is optional
        spans = match.regs
        best = max(range(len(rules)), key=lambda k: spans[2 * k + 1][1])
        after = spans[2 * best + 2][1]
        yield from filter(None, _written(text[place:after], rules[best].how))
        place = after


def _written(token: str, how: str) -> list[str]:
    """Return a token, or its two parts, as the original writes it.

    Args:
        token: as it stands in the text.
        how: "drop" punctuation; "address" as it is; "cut" in two after three characters ("can not"); "spaced" with
            no-break spaces (a tag, a fraction), "phone" with spelled brackets too, "face" with these alone;
            "quoted" with plain apostrophes; "joined" with plain ampersands; "entity" as its character; "quotes" and
            "plain" with the characters that have a spelling.
    """
    token = token.lower()
    if how == "drop":
        return []
    if how == "address":
        return [token]
    if how == "cut":
        return [token[:3], token[3:]]
    if how in ("spaced", "phone"):
        token = token.replace(" ", "\u00a0")
    if how in ("phone", "face"):
        return [token.replace("(", "-lrb-").replace(")", "-rrb-")]
    if how == "quoted":
        return [token.translate(_PLAIN_QUOTES)]
    if how == "joined":
        return [token.replace("&amp;", "&")]
    if how == "entity":
        return [_ENTITIES.get(token, token)]
    if how == "quotes":
        return ["".join(_MAPPED.get(sign, sign) for sign in token)]
    return [_MAPPED.get(token) or token.replace("\u00ad", "")]
