"""Accuracy of short answers: exact match after normalisation, by kind of question, and for directions.

Directions are names of equal sectors of the horizon, in the order of rising yaw, sector i centred on
i * 360 / n degrees; ``geometry.sphere.SECTORS8`` is such a tuple. They are passed in, so that the names are
written in one place only.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panollava.errors import MetricError

_ARTICLES = {"a", "an", "the"}
_NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {word: str(value) for value, word in enumerate(_NUMBER_WORDS)}
_APOSTROPHE = re.compile(r"['\u2019]")
_NOT_WORD = re.compile(r"[^\w.]+|\.(?!\d)|(?<!\d)\.|_")
_NOT_DECIMAL = re.compile(r"\.(?!\d)|(?<!\d)\.|_")


def normalize_answer(text: str) -> str:
    """Return the form in which answers are compared.

    Unicode compatibility forms are joined (NFKC), case folded, apostrophes dropped, other punctuation except
    decimal points turned into spaces, English articles dropped, number words up to ten written as digits.
    Vowel signs and other combining marks are part of their word, in Hindi and Arabic as elsewhere.

    Example:
        >>> normalize_answer("The Front-Left."), normalize_answer("Two chairs, 1.5 m")
        ('front left', '2 chairs 1.5 m')
    """
    text = _APOSTROPHE.sub("", unicodedata.normalize("NFKC", text).casefold())
    words = (_NOT_WORD.sub(" ", text) if text.isascii() else _NOT_DECIMAL.sub(" ", _letters(text))).split()
    kept = [word for word in words if word not in _ARTICLES] or words  # the option letter "A" is an answer
    return " ".join(_NUMBERS.get(word, word) for word in kept)


def _letters(text: str) -> str:
    """Blank what is no letter, digit, combining mark, point or underscore; drop invisible joiners."""
    kept = []
    for letter in text:
        kind = unicodedata.category(letter)
        if kind != "Cf":
            kept.append(letter if letter.isalnum() or letter in "._" or kind[0] == "M" else " ")
    return "".join(kept)


def exact_match(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Return 1.0 for each item whose normalised prediction equals one of its references, else 0.0.

    An empty prediction is wrong even where a reference normalises to nothing.

    Example:
        >>> exact_match(["a red chair", ""], [["Red chair!"], ["the"]]).tolist()
        [1.0, 0.0]
    """
    hits = []
    for prediction, group in zip(predictions, references, strict=True):
        answer = normalize_answer(prediction)
        hits.append(bool(answer) and answer in {normalize_answer(reference) for reference in group})
    return np.array(hits, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class KindAccuracy:
    """Accuracy of one kind of question: ``correct`` of ``count``."""

    correct: float
    count: int

    @property
    def value(self) -> float:
        """The accuracy in 0..1."""
        return self.correct / self.count


def accuracy_by_kind(
    correct: Sequence[float] | NDArray[np.float64], *, kinds: Sequence[str]
) -> dict[str, KindAccuracy]:
    """Return the accuracy of every kind of question, kinds in alphabetical order.

    Args:
        correct: per item 1 or 0 (or a soft score between).
        kinds: per item the kind of its question.

    Raises:
        MetricError: Unequal lengths.

    Example:
        >>> accuracy_by_kind([1, 0, 1], kinds=["count", "count", "where"])["count"].value
        0.5
    """
    if len(correct) != len(kinds):
        raise MetricError(f"{len(correct)} items but {len(kinds)} kinds of question: give one kind per item.")
    sums: dict[str, tuple[float, int]] = {}
    for hit, kind in zip(correct, kinds, strict=True):
        total, count = sums.get(kind, (0.0, 0))
        sums[kind] = (total + float(hit), count + 1)
    return {kind: KindAccuracy(*sums[kind]) for kind in sorted(sums)}


def find_sector(text: str, *, sectors: Sequence[str]) -> int | None:
    """Return the index of the one sector a text names, or None when it names none or several.

    A longer name wins over a shorter one inside it: "front left" is not "front".

    Example:
        >>> find_sector("It is to the front-left.", sectors=("front", "left", "front left"))
        2
    """
    rest = f" {normalize_answer(text)} "
    found = set()
    for index in sorted(range(len(sectors)), key=lambda i: -len(normalize_answer(sectors[i]))):
        name = f" {normalize_answer(sectors[index])} "
        if name in rest:
            found.add(index)
            rest = rest.replace(name, "  ")
    return found.pop() if len(found) == 1 else None


def direction_confusion(
    predictions: Sequence[str], *, references: Sequence[str], sectors: Sequence[str]
) -> NDArray[np.int64]:
    """Count predicted directions by true direction.

    Args:
        predictions: one answer per item.
        references: one answer per item; each must name exactly one sector.
        sectors: sector names in the order of yaw.

    Returns:
        (n, n + 1) counts: row = true sector, column = predicted sector, last column = no single sector named.

    Raises:
        MetricError: Unequal lengths, or a reference that does not name one sector.

    Example:
        >>> sides = ("left", "right")
        >>> direction_confusion(["left", "?"], references=["left", "right"], sectors=sides).tolist()
        [[1, 0, 0], [0, 0, 1]]
    """
    truth = _true_sectors(references, sectors, len(predictions))
    counts = np.zeros((len(sectors), len(sectors) + 1), dtype=np.int64)
    for prediction, true in zip(predictions, truth, strict=True):
        index = find_sector(prediction, sectors=sectors)
        counts[true, len(sectors) if index is None else index] += 1
    return counts


def sector_scores(
    predictions: Sequence[str], *, references: Sequence[str], sectors: Sequence[str]
) -> NDArray[np.float64]:
    """Return the soft score of each predicted direction, from the angle between the sector centres.

    A prediction that does not name exactly one sector scores 0. Arguments and errors as
    ``direction_confusion``.

    Example:
        >>> sixteenths = tuple("abcdefghijklmnop")
        >>> sector_scores(["b", "c", "a"], references=["a", "a", "a"], sectors=sixteenths).tolist()
        [0.5, 0.0, 1.0]
    """
    truth = _true_sectors(references, sectors, len(predictions))
    scores = []
    for prediction, true in zip(predictions, truth, strict=True):
        index = find_sector(prediction, sectors=sectors)
        scores.append(0.0 if index is None else soft_angle_score((index - true) * 360.0 / len(sectors)))
    return np.array(scores, dtype=np.float64)


def soft_angle_score(delta_deg: float) -> float:
    """Return max(0, 1 - |delta| / 45), the angle wrapped to [-180, 180).

    Example:
        >>> soft_angle_score(0.0), soft_angle_score(-350.0), soft_angle_score(90.0)
        (1.0, 0.7777777777777778, 0.0)
    """
    wrapped = (delta_deg + 180.0) % 360.0 - 180.0
    return max(0.0, 1.0 - abs(wrapped) / 45.0)


def _true_sectors(references: Sequence[str], sectors: Sequence[str], count: int) -> list[int]:
    if len(references) != count:
        raise MetricError(f"{count} predictions but {len(references)} references: give one reference per prediction.")
    truth = []
    for row, reference in enumerate(references, start=1):
        index = find_sector(reference, sectors=sectors)
        if index is None:
            raise MetricError(
                f"row {row}: the reference '{reference}' does not name exactly one of the directions"
                f" {', '.join(sectors)}. Pass only direction questions."
            )
        truth.append(index)
    return truth
