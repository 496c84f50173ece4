"""VQA accuracy (Antol et al. 2015): an answer is right as far as three of ten people gave it.

The formula and the normalisation are those of the official script (GT-Vision-Lab/VQA, vqaEval.py, commit c4e6a0e4):
for each annotator, min(1, others who gave the predicted answer / 3); the mean over annotators is the item's score.

Habits kept because scores depend on them: the prediction is normalised whole, the annotators' answers only in their
punctuation, and only where they are not all equal; "none" is 0; at most 32 full stops are removed. An annotator's
answer with a capital or an article can therefore never be met; ``unreachable`` counts such answers.

Contractions, articles and number words are English.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from panollava.errors import MetricError

PEOPLE_NEEDED = 4  # with fewer answers no prediction can reach 1: three must agree beside the one left out
_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_COMMA_IN_NUMBER = re.compile(r"\d,\d")
_FULL_STOP = re.compile(r"\.(?!\d)")
_STOPS_REMOVED = 32  # the official script passes re.UNICODE, 32, where a count is expected
_NUMBERS = "zero one two three four five six seven eight nine ten"
_DIGITS = {word: str(value) for value, word in enumerate(_NUMBERS.split())} | {"none": "0"}
_ARTICLES = frozenset(("a", "an", "the"))
_SHORT_FORMS = """
ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've
he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't must've needn't not've
o'clock oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's
someone'd someone'd've someone'll someone's something'd something'd've something'll that's there'd there'd've
there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's
what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't would've
wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've
"""
_CONTRACTIONS = {
    form[:place] + form[place + 1 :]: form  # one apostrophe is missing
    for form in _SHORT_FORMS.split()
    for place, letter in enumerate(form)
    if letter == "'"
} | {"somebody'd": "somebodyd"}


def vqa_accuracy(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Return the VQA accuracy of each item, in 0..1.

    Args:
        predictions: one answer per item; an empty one scores 0.
        references: per item the answers of at least four people, officially of ten; repeated answers count.

    Raises:
        MetricError: An item with fewer answers.

    Example:
        >>> people = ["red"] * 3 + ["dark red"] * 7
        >>> vqa_accuracy(["A red.", "dark red"], [people, people]).round(6).tolist()
        [0.9, 1.0]
    """
    scores = []
    for item, (prediction, people) in enumerate(zip(predictions, references, strict=True), start=1):
        if len(people) < PEOPLE_NEEDED:
            raise MetricError(
                f"item {item} has {len(people)} answers; VQA accuracy compares with those of at least"
                f" {PEOPLE_NEEDED} people. Give one row per person, or use exact_match."
            )
        answer = normalize_vqa(prediction.replace("\n", " ").replace("\t", " ").strip())
        given = as_compared(people)
        met = sum(text == answer for text in given) if prediction.strip() else 0
        hits = [min(1.0, (met - (text == answer and met > 0)) / 3) for text in given]
        scores.append(sum(hits) / len(hits))
    return np.array(scores, dtype=np.float64)


def as_compared(people: Sequence[str]) -> list[str]:
    """Return the answers of people as the official script compares them.

    Example:
        >>> as_compared(["yes", "yes!"]), as_compared(["yes!", "yes!"])
        (['yes', 'yes '], ['yes!', 'yes!'])
    """
    return [_without_punctuation(text) for text in people] if len(set(people)) > 1 else list(people)


def unreachable(references: Sequence[Sequence[str]]) -> int:
    """Return how many answers of people no prediction can equal, because they are not in normal form.

    Example:
        >>> unreachable([["yes", "Yes", "no", "the yes"]])
        2
    """
    return sum(normalize_vqa(text) != text for people in references for text in as_compared(people))


def normalize_vqa(text: str) -> str:
    """Return an answer without punctuation and articles, in lower case, digits and contractions in one form.

    Example:
        >>> normalize_vqa("The two dogs, dont!"), normalize_vqa("1,000 people")
        ("2 dogs don't", '1000 people')
    """
    words = [_DIGITS.get(word, word) for word in _without_punctuation(text).lower().split()]
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


def _without_punctuation(text: str) -> str:
    """Drop a mark that stands beside a space somewhere in the text, or any where a comma groups digits; else space."""
    number = _COMMA_IN_NUMBER.search(text) is not None
    result = text
    for mark in _MARKS:
        beside = mark + " " in text or " " + mark in text
        result = result.replace(mark, "" if beside or number else " ")
    return _FULL_STOP.sub("", result, count=_STOPS_REMOVED)
