r"""A Penn Treebank tokenizer in Python that agrees with the one COCO caption evaluation runs in Java.

COCO's scorers (coco-caption, pycocoevalcap) pass every caption through Stanford's ``PTBTokenizer
-preserveLines -lowerCase`` and drop punctuation tokens. This file reproduces that pair of steps.

The rules were written against the captions of COCO train2014, two thirds of the lines of documentation and of
code, and generated lines; counted on texts that nobody had looked at (``tools/ptb_differences.py``, one stream as
in pycocoevalcap, packages of ``constraints.txt``):

===========================================  =======  ======  ===========
text                                           lines  differ  per 100,000
===========================================  =======  ======  ===========
captions of COCO val2014                     202,654       0            0
documentation, licences, read-me files        24,089       0            0
lines of Python code and their paths          73,554       1          1.4
generated lines of hard cases                 12,290       0            0
===========================================  =======  ======  ===========

Known to differ: a soft hyphen beside a digit or a hyphen, ``http://`` before a single emoji, ``&apos;`` inside a
word, "MFg." and "PtY." in mixed case.

Habits of the original that are kept: the punctuation list is upper case while tokens are lower case, so
brackets survive as ``-lrb-`` and ``-rrb-``; characters unknown to it (emoji) are dropped; a caption that ends in
a single letter, "on Model T.", is read with regard to the first word of the *next* caption (``ptb_lines``).
"""

import re
from collections.abc import Sequence

from panollava.metrics.ptb_reader import read_tokens
from panollava.metrics.ptb_rules import ABBREVIATIONS, NUMBERED, SPLIT_WORDS

PUNCTUATION = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])
# What Java's reader and the tokenizer take for the end of a line, and what Python does.
LINE_BREAKS = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")

# Letters, commas and one last period cannot meet any rule but the split words and the abbreviations.
_PLAIN = re.compile(r"[A-Za-z ,]*(?:[A-Za-z]{2}|[ ,])\.?")
# Without these, no token of an ASCII text holds white space.
_ACROSS = re.compile(r"<|[0-9)]\s+[0-9]|\.\s+\.")
# Where the tokens of a chunk depend on what follows it: a single letter, a number's abbreviation.
_OPEN = re.compile(rf"(?i:(?:^|[^a-z])(?:[a-z]|{'|'.join(NUMBERED)})\.$)")
_PERIOD = ABBREVIATIONS | NUMBERED
_REMEMBERED = 200_000

_chunks: dict[str, list[str] | None] = {}


def ptb_tokens(text: str, *, following: str = "") -> list[str]:
    r"""Return lower-case Penn Treebank tokens without punctuation, as COCO caption evaluation uses them.

    A fraction such as "4 1/2" is one token with a no-break space inside, as in the original; join tokens with
    single spaces and split at any white space to count it as BLEU and CIDEr do there.

    Args:
        text: a caption; a line break in it counts as a space.
        following: the next caption of the file, which the original looks at; see ``ptb_lines``.

    Example:
        >>> ptb_tokens('A man (left) isn\'t near the "red" t-shirt, OK.')
        ['a', 'man', '-lrb-', 'left', '-rrb-', 'is', "n't", 'near', 'the', 'red', 't-shirt', 'ok']
    """
    if _PLAIN.fullmatch(text):
        words = text.lower().replace(",", " ").removesuffix(".").split()
        if SPLIT_WORDS.isdisjoint(words) and (text[-1] != "." or words[-1:] == [] or words[-1] not in _PERIOD):
            return words
    if text.isascii() and not _ACROSS.search(text):
        tokens: list[str] = []
        for chunk in text.split():
            known = _chunks[chunk] if chunk in _chunks else _learn(chunk)
            if known is None:
                break
            tokens += known
        else:
            return tokens
    return _read(LINE_BREAKS.sub(" ", text), following)


def ptb_lines(texts: Sequence[str]) -> list[list[str]]:
    """Return the tokens of each text, read one after another as the official tokenizer reads a file of captions.

    It differs from ``ptb_tokens`` of each where a text ends in a single letter and a period: the period is part
    of the token, unless the next text begins with a word such as "A" or "The".

    Example:
        >>> ptb_lines(["On Model T.", "Cars.", "On Model T.", "A car."])
        [['on', 'model', 't.'], ['cars'], ['on', 'model', 't'], ['a', 'car']]
    """
    following = ""
    lines = []
    for text in reversed(texts):
        lines.append(ptb_tokens(text, following=following))
        following = text if text.strip() else following
    return lines[::-1]


def _learn(chunk: str) -> list[str] | None:
    """Return the tokens of a chunk without white space, None if they depend on what follows; remember it."""
    if len(_chunks) >= _REMEMBERED:
        _chunks.clear()
    tokens = None if _OPEN.search(chunk) else _read(chunk, "")
    _chunks[chunk] = tokens
    return tokens


def _read(line: str, following: str) -> list[str]:
    return [token for token in read_tokens(line, following=following.lstrip()[:40]) if token not in PUNCTUATION]
