"""Numbers in answers: read one, compare it. "How many chairs?" is answered by 2, "two" or "there are two chairs"."""

import re
import unicodedata
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

_NAMES = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen twenty thirty forty fifty sixty seventy eighty ninety
"""
_ONES, _TENS = _NAMES.split()[:20], _NAMES.split()[20:]
_WORDS = {word: value for value, word in enumerate(_ONES)} | {"none": 0}  # "none" as in the VQA script
_WORDS |= {word: 10 * value for value, word in enumerate(_TENS, start=2)}
_SPELLED = re.compile(
    rf"(?<![\w-])(?:(?P<tens>{'|'.join(_TENS)})[- ](?P<ones>{'|'.join(_ONES[1:10])})"
    rf"|(?P<word>{'|'.join(_WORDS)}))(?![\w-])"
)
_DIGITS = re.compile(
    r"(?<![\w.,])(?P<sign>[-\u2212+]?)(?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?P<rest>\.\d+)?"
    r"(?=(?:[cmk]?m|kg|deg|\u00b0|%)?(?!\w|[.,]\d))"
)


def read_number(text: str) -> float | None:
    """Return the one number that a text names, or None when it names none or several.

    Read are digits with a decimal point and commas between thousands, with a unit behind if there is one, and English
    words up to ninety-nine. A number said twice is one number; "1st" and "3d" are none.

    Example:
        >>> read_number("There are twenty-one."), read_number("1,200.5 m"), read_number("2 or 3")
        (21.0, 1200.5, None)
    """
    text = unicodedata.normalize("NFKC", text).casefold()
    found = set()
    for match in _DIGITS.finditer(text):
        value = float(match["whole"].replace(",", "") + (match["rest"] or ""))
        found.add(-value if match["sign"] in ("-", "\u2212") and value else value)
    for match in _SPELLED.finditer(text):
        parts = (match["tens"], match["ones"]) if match["tens"] else (match["word"],)
        found.add(float(sum(_WORDS[part] for part in parts)))
    return found.pop() if len(found) == 1 else None


def number_hits(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Return 1.0 where the prediction names a number of its references, else 0.0; NaN where a reference names none.

    Example:
        >>> number_hits(["two", "", "three"], [["2"], ["2"], ["a dog"]]).tolist()
        [1.0, 0.0, nan]
    """
    return _scores(predictions, references, lambda said, true: float(said is not None and said in true))


def number_errors(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Return the distance to the nearest reference; NaN where the prediction, or a reference, names no one number.

    Example:
        >>> number_errors(["five", "many"], [["2", "4"], ["2"]]).tolist()
        [1.0, nan]
    """

    def error(said: float | None, true: Sequence[float]) -> float:
        return np.nan if said is None else min(abs(said - value) for value in true)

    return _scores(predictions, references, error)


def _scores(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    score: Callable[[float | None, Sequence[float]], float],
) -> NDArray[np.float64]:
    scores = np.full(len(predictions), np.nan)
    for item, (prediction, group) in enumerate(zip(predictions, references, strict=True)):
        found = [read_number(reference) for reference in group]
        true = [number for number in found if number is not None]
        if len(true) == len(found):
            scores[item] = score(read_number(prediction), true)
    return scores
