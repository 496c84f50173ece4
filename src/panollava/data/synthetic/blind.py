"""How much of the questions can be answered without looking: the leak test of SurroundQA.

Two readers that see text only, per kind of question:

- majority: the answer most often given to the very same question in training, else to the same kind;
- words: naive Bayes over the words of the question, which also learns that, say, large things are near.

Where the question offers two names (``which is nearer, the A or the B?``), the answers are "first" and
"second", and every word carries the place of its name; so too in ``facing the A, is the B to the left or to
the right?``.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from panollava.data.synthetic.questions import Question, chance_levels

_SMOOTHING = 1.0
_OPTIONS = "which is nearer, the "
_FACING = "facing the "


@dataclass(frozen=True, slots=True)
class BlindScore:
    """Accuracy of the readers that see no picture, of one kind of question.

    Attributes:
        questions: Number of questions tested.
        chance: Accuracy of guessing uniformly among the answers that the wording allows.
        commonest: Accuracy of always giving the commonest test answer: what perfect priors would reach.
        majority: Accuracy of the answer most often given to the same question.
        words: Accuracy of naive Bayes over the words of the question.
    """

    questions: int
    chance: float
    commonest: float
    majority: float
    words: float

    @property
    def leak(self) -> float:
        """Points (of 1) by which the better reader beats chance."""
        return max(self.majority, self.words) - self.chance


def blind_scores(train: Sequence[Question], test: Sequence[Question]) -> dict[str, BlindScore]:
    """Train both readers on one set of questions and score them on another, by kind.

    Kinds without a chance level (captions) are left out.
    """
    chance = chance_levels()
    scores = {}
    for kind in chance:
        seen = [_without_position(q) for q in train if q.kind == kind]
        asked = [_without_position(q) for q in test if q.kind == kind]
        if not (seen and asked):
            continue
        words = _Words(seen)
        majority = _Majority(seen)
        answers = [answer for _, answer in asked]
        scores[kind] = BlindScore(
            questions=len(asked),
            chance=chance[kind],
            commonest=Counter(answers).most_common(1)[0][1] / len(asked),
            majority=float(np.mean([majority.answer(q) == a for q, a in asked])),
            words=float(np.mean([words.answer(q) == a for q, a in asked])),
        )
    return scores


def _without_position(question: Question) -> tuple[str, str]:
    """Return the question and its answer; a choice between two names becomes "first" or "second"."""
    if not question.question.startswith(_OPTIONS):
        return question.question, question.answer
    first, _ = _options(question.question)
    return question.question, "first" if question.answer == f"the {first}" else "second"


def _options(question: str) -> tuple[str, str]:
    first, second = question.removeprefix(_OPTIONS).removesuffix("?").split(" or the ")
    return first, second


class _Majority:
    """The answer most often given to the same question; to any question of the kind if it is new."""

    def __init__(self, seen: list[tuple[str, str]]) -> None:
        self._by_question: dict[str, Counter[str]] = defaultdict(Counter)
        for question, answer in seen:
            self._by_question[question][answer] += 1
        self._overall = Counter(answer for _, answer in seen).most_common(1)[0][0]

    def answer(self, question: str) -> str:
        known = self._by_question.get(question)
        return known.most_common(1)[0][0] if known else self._overall


class _Words:
    """Multinomial naive Bayes over the words and neighbouring word pairs of a question."""

    def __init__(self, seen: list[tuple[str, str]]) -> None:
        self._answers = sorted({answer for _, answer in seen})
        self._index: dict[str, int] = {}
        for question, _ in seen:
            for word in _features(question):
                self._index.setdefault(word, len(self._index))
        counts = np.full((len(self._answers), len(self._index)), _SMOOTHING)
        prior = np.zeros(len(self._answers))
        for question, answer in seen:
            row = self._answers.index(answer)
            prior[row] += 1
            for word in _features(question):
                counts[row, self._index[word]] += 1
        self._log_prior = np.log(prior / prior.sum())
        self._log_word = np.log(counts / counts.sum(axis=1, keepdims=True))

    def answer(self, question: str) -> str:
        columns = [self._index[word] for word in _features(question) if word in self._index]
        return self._answers[int(np.argmax(self._log_prior + self._log_word[:, columns].sum(axis=1)))]


def _features(question: str) -> list[str]:
    if question.startswith(_OPTIONS):
        places = zip(("first", "second"), _options(question), strict=True)
        return [f"{place} {word}" for place, name in places for word in name.split()]
    if question.startswith(_FACING):
        faced, asked = question.removeprefix(_FACING).split(", is the ")
        return [f"faced {word}" for word in faced.split()] + [f"asked {word}" for word in asked.split()]
    words = question.removesuffix("?").replace(",", "").replace(":", "").split()
    return words + [f"{a} {b}" for a, b in pairwise(words)]
