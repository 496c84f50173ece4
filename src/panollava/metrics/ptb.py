r"""A Penn Treebank tokenizer in Python, made to agree with the one COCO caption evaluation runs in Java.

COCO's scorers (coco-caption, pycocoevalcap) pass every caption through Stanford's ``PTBTokenizer
-preserveLines -lowerCase`` and drop punctuation tokens. This file reproduces that pair of steps with rules
written from the tokenizer's documentation and from its observed output; it holds none of its code.
Signatures call it ``ptb-py``, because it is not identical: of the 202,654 captions of COCO val2014, not
looked at while the rules were written, 19 differ (9 in 100,000); of train2014, which was, 19 of 414,113.
Text of another kind differs more: of 5,625 lines of technical notes and licences, 615.

Habits of the original that are kept: the punctuation list is upper case while tokens are lower case, so
brackets survive as ``-lrb-`` and ``-rrb-``; characters unknown to it (emoji) are dropped.
"""

import re
from collections.abc import Iterator

PUNCTUATION = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])

_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}

_SPLIT_WORDS = {
    "cannot": "can not",
    "gonna": "gon na",
    "gotta": "got ta",
    "gimme": "gim me",
    "lemme": "lem me",
    "wanna": "wan na",
    "'tis": "'t is",
    "'twas": "'t was",
}
# Always one token with their period.
_WITH_PERIOD = (
    "mr mrs ms dr drs prof gen rep sen gov pres capt lt col sgt maj messrs rev hon sr jr st ste mt ft "
    "inc ltd co corp bros ave blvd bldg rd etc vs approx dept est fig tel ph "
)
# One token with their period, unless that period ends the text.
_SHORTENED = (
    "jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thurs fri sat sun "
    "calif fla ill mich minn mo penn tenn tex va vt wis ala ariz ark colo conn del ga ind kan ky md"
    " neb nev okla"
)
_PERIOD = frozenset(_WITH_PERIOD.split())
_LETTER = r"[^\W\d_]"
_APOSTROPHE = "'"

_TOKEN = re.compile(
    rf"""
      (?P<url> (?:https?://|www\.)[^\s"<>()]+[\w/] )
    | (?P<email> (?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+ )
    | (?P<at> [@\#]{_LETTER}\w* )
    | (?P<entity> &(?:amp|lt|gt|quot|nbsp); )
    | (?P<smile> [:;=]-?[()DP](?!\w) )
    | (?P<old> {_APOSTROPHE}(?:tis|twas|till?|cause|em)\b | {_APOSTROPHE}n(?:{_APOSTROPHE}|\b) )
    | (?P<year> {_APOSTROPHE}\d\ds?\b(?!{_APOSTROPHE}) )
    | (?P<phone> \d{{3}}-\d{{3}}-\d{{4}} | \d{{3}}-\d{{4}} )
    | (?P<fraction> \d+(?:[ ]\d+)?/\d+(?:/\d+)? )
    | (?P<time> \d+:\d\d(?::\d\d)? )
    | (?P<acronym> (?:{_LETTER}\.){{2,}}(?!\w) )
    | (?P<joined> {_LETTER}+(?:\.{_LETTER}+)+ )
    | (?P<title> (?:{"|".join(_WITH_PERIOD.split())})\. )
    | (?P<shortened> (?:{"|".join(_SHORTENED.split())})\.(?=\s*[^\s"')]) )
    | (?P<item> no\.(?=\s?\d) )
    | (?P<initial> (?<![\w'&]){_LETTER}\.(?!\.)(?=.*\w) )
    | (?P<stop> {_LETTER}+\.(?=[,;]) )
    | (?P<clock> o{_APOSTROPHE}clock\b )
    | (?P<negation> {_LETTER}+?(?=n{_APOSTROPHE}t\b) | n{_APOSTROPHE}t\b )
    | (?P<clitic> {_APOSTROPHE}(?:s|m|d|re|ve|ll)\b )
    | (?P<number> (?:[-+]?(?<![\w-]))?\d+(?:,\d\d\d)*(?:\.\d+)?(?![\w-]*{_LETTER}) (?:-\d+)* | \.\d+ )
    | (?P<irish> [old]{_APOSTROPHE}{_LETTER}{{2,}} )
    | (?P<ampersand> (?-i:[A-Z]+&[A-Z]+)\b )
    | (?P<dropped> (?:dunkin|lookin|nothin|goin|rockin){_APOSTROPHE}(?!\w) )
    | (?P<language> c\+\+ )
    | (?P<word> [^\W_]+(?:[-_/][^\W_]+)* )
    | (?P<dots> \.\.+ )
    | (?P<dash> -+ )
    | (?P<quote> "|``|'' )
    | (?P<shout> [?!]{{2,}} | >> | << )
    | (?P<other> \S )
    """,
    re.VERBOSE | re.IGNORECASE,
)


# Typographic marks take their ASCII form, a soft hyphen vanishes; so does all beyond the basic plane (emoji).
_ASCII_FORMS = {
    0x2018: "'",
    0x2019: "'",
    0x201C: '"',
    0x201D: '"',
    0x2013: "--",
    0x2014: "--",
    0x2026: "...",
    0xAD: None,
}
_BEYOND = re.compile(r"[^\u0000-\uffff]")

# Letters, commas and one last period cannot meet any rule but the split words and the abbreviations.
_PLAIN = re.compile(r"[A-Za-z ,]*(?:[A-Za-z]{2}|[ ,])\.?")


def ptb_tokens(text: str) -> list[str]:
    r"""Return lower-case Penn Treebank tokens without punctuation, as COCO caption evaluation uses them.

    A fraction such as "4 1/2" is one token with a no-break space inside, as in the original; join tokens with
    single spaces and split at any white space to count it as BLEU and CIDEr do there.

    Example:
        >>> ptb_tokens('A man (left) isn\'t near the "red" t-shirt, OK.')
        ['a', 'man', '-lrb-', 'left', '-rrb-', 'is', "n't", 'near', 'the', 'red', 't-shirt', 'ok']
    """
    if _PLAIN.fullmatch(text):
        words = text.lower().replace(",", " ").removesuffix(".").split()
        if not _SPLIT_WORDS.keys() & words and (text[-1] != "." or words[-1:] == [] or words[-1] not in _PERIOD):
            return words
    if not text.isascii():
        text = _BEYOND.sub(" ", text.translate(_ASCII_FORMS))
    return [token for token in _tokens(text) if token not in PUNCTUATION]


def _tokens(text: str) -> Iterator[str]:
    for match in _TOKEN.finditer(text):
        token, kind = match.group().lower(), match.lastgroup
        if kind == "dots":
            token = "..."
        elif kind == "quote":
            token = "``"
        elif kind == "fraction":
            token = token.replace(" ", "\u00a0")
        elif kind == "smile":
            token = token[:-1] + _BRACKETS.get(token[-1], token[-1])
        yield from _SPLIT_WORDS.get(token, _BRACKETS.get(token, token)).split(" ")
