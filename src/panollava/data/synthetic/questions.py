"""Questions with exact answers, and the quota that keeps a text-only model at chance.

Every kind of question is a function from a scene to its candidate (question, answer) pairs; guards drop what
is ambiguous (an object on the border of two directions, two distances that are nearly equal).
``QuestionSampler`` then takes, scene by scene, the candidate whose answer has been given least so far for
that wording, so that no answer is worth guessing. Where a question has two symmetric readings (left or right
of, nearer of two), both orders are candidates.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from panollava.data.synthetic import language
from panollava.data.synthetic.scene import Scene, SceneObject
from panollava.data.synthetic.vocabulary import COLOURS, MATERIALS, SHAPES, SIZES, plural
from panollava.geometry.angles import wrap_deg
from panollava.geometry.sphere import SECTORS4, SECTORS8, sector

GUARD8_DEG, GUARD4_DEG = 6.0, 10.0
MIN_DISTANCE_RATIO = 1.25
MIN_ELEVATION_DEG = 10.0
RELATIVE_RANGE_DEG = (15.0, 165.0)
MAX_COUNT = 3  # higher counts are too rare to be asked as often as the others
NOTHING_SHARE = 1 / (1 + len(COLOURS) * len(SHAPES))
"""Largest share of "nothing" among the answers to what lies in a direction: that of any other answer."""

TURNS = {
    "front": "stay",
    "front right": "right 45 degrees",
    "right": "right 90 degrees",
    "behind right": "right 135 degrees",
    "behind": "turn around",
    "behind left": "left 135 degrees",
    "left": "left 90 degrees",
    "front left": "left 45 degrees",
}
_VIEW_WORDS = {"front": "in front of me", "right": "to my right", "behind": "behind me", "left": "to my left"}


@dataclass(frozen=True, slots=True)
class Question:
    """One question about one scene.

    ``template`` names the wording, within which answers are balanced; ``kind`` names the skill scored.
    """

    kind: str
    template: str
    question: str
    answer: str


Candidates = Iterator[tuple[str, str, str]]  # template, question, answer


def _existence(scene: Scene, rng: np.random.Generator) -> Candidates:
    present = {(o.colour, o.shape) for o in scene.objects}
    for item in scene.objects:
        yield "exists", f"is there {language.with_article(language.phrase(item))}?", "yes"
        colour, shape = language.pick(rng, list(COLOURS)), language.pick(rng, list(SHAPES))
        # right in one attribute, wrong in the other
        for wrong in ((colour, item.shape), (item.colour, shape)):
            if wrong not in present:
                yield "exists", f"is there {language.with_article(' '.join(wrong))}?", "no"
        if not item.is_polar and _clear_of_border(item, count=4):
            here = sector(item.yaw_deg, count=4)
            elsewhere = language.pick(rng, [s for s in SECTORS4 if s != here])
            name = language.with_article(language.phrase(item))
            yield "exists there", f"is there {name} {_VIEW_WORDS[here]}?", "yes"
            twin = [o for o in scene.objects if o is not item and language.phrase(o) == language.phrase(item)]
            if not twin:
                yield "exists there", f"is there {name} {_VIEW_WORDS[elsewhere]}?", "no"


def _count(scene: Scene, _rng: np.random.Generator) -> Candidates:
    for shape in SHAPES:
        n = sum(o.shape == shape for o in scene.objects)
        if n <= MAX_COUNT:
            yield "count shape", f"how many {plural(shape)} are there?", str(n)
    for colour in COLOURS:
        n = sum(o.colour == colour for o in scene.objects)
        if n <= MAX_COUNT:
            yield "count colour", f"how many {colour} objects are there?", str(n)


def _attribute(name: str, asks: str) -> Callable[[Scene, np.random.Generator], Candidates]:
    def candidates(scene: Scene, rng: np.random.Generator) -> Candidates:
        for item in scene.objects:
            names = language.unique_names(scene, item, hide=name)
            if names:
                yield name, asks.format(language.pick(rng, names)), str(getattr(item, name))

    return candidates


def _direction(count: int) -> Callable[[Scene, np.random.Generator], Candidates]:
    asks = (
        "which side is the {} on: front, right, behind or left?"
        if count == 4
        else "in which of eight directions is the {}?"
    )

    def candidates(scene: Scene, rng: np.random.Generator) -> Candidates:
        for item, name in _named(scene, rng):
            if not item.is_polar and _clear_of_border(item, count=count):
                yield f"direction{count}", asks.format(name), sector(item.yaw_deg, count=count)

    return candidates


def _turn(scene: Scene, rng: np.random.Generator) -> Candidates:
    for item, name in _named(scene, rng):
        if not item.is_polar and _clear_of_border(item, count=8):
            yield "turn", f"how must i turn to face the {name}?", TURNS[sector(item.yaw_deg, count=8)]


def _view(scene: Scene, _rng: np.random.Generator) -> Candidates:
    for name, words in _VIEW_WORDS.items():
        centre = SECTORS4.index(name) * 90.0
        near = [
            o for o in scene.objects if not o.is_polar and abs(float(wrap_deg(o.yaw_deg - centre))) < 45.0 + GUARD4_DEG
        ]
        if all(_clear_of_border(o, count=4) for o in near) and len(near) <= 1:
            yield "view", f"what is {words}?", language.listing(near)
    for name, sign in (("above", 1), ("below", -1)):
        near = [o for o in scene.objects if o.pitch_deg * sign > 50.0]
        if all(o.is_polar for o in near) and len(near) <= 1:
            yield "view pole", f"what is directly {name} me?", language.listing(near)


def _relative(scene: Scene, rng: np.random.Generator) -> Candidates:
    for (a, name_a), (b, name_b) in permutations(_named(scene, rng), 2):
        turn = float(wrap_deg(a.yaw_deg - b.yaw_deg))
        if not (a.is_polar or b.is_polar) and RELATIVE_RANGE_DEG[0] < abs(turn) < RELATIVE_RANGE_DEG[1]:
            asks = f"facing the {name_b}, is the {name_a} to the left or to the right?"
            yield "relative", asks, "right" if turn > 0 else "left"


def _distance(scene: Scene, rng: np.random.Generator) -> Candidates:
    for (a, name_a), (b, name_b) in permutations(_named(scene, rng), 2):
        if max(a.distance_m, b.distance_m) >= MIN_DISTANCE_RATIO * min(a.distance_m, b.distance_m):
            nearer = "first" if a.distance_m < b.distance_m else "second"
            name = name_a if nearer == "first" else name_b
            yield f"distance {nearer}", f"which is nearer, the {name_a} or the {name_b}?", f"the {name}"


def _elevation(scene: Scene, rng: np.random.Generator) -> Candidates:
    for item, name in _named(scene, rng):
        if abs(item.pitch_deg) >= MIN_ELEVATION_DEG:
            asks = f"is the {name} above or below eye level?"
            yield "elevation", asks, "above" if item.pitch_deg > 0 else "below"


def _clear_of_border(item: SceneObject, *, count: int) -> bool:
    """Whether the centre keeps the guard distance to the nearest border between two sectors."""
    width = 360.0 / count
    to_centre = abs(float(wrap_deg(item.yaw_deg - width * round(item.yaw_deg / width))))
    return width / 2.0 - to_centre >= (GUARD8_DEG if count == 8 else GUARD4_DEG)


def _named(scene: Scene, rng: np.random.Generator) -> list[tuple[SceneObject, str]]:
    """Return the objects that have a unique name, each with one of its names."""
    names = [(item, language.unique_names(scene, item)) for item in scene.objects]
    return [(item, language.pick(rng, options)) for item, options in names if options]


QUESTION_KINDS: dict[str, Callable[[Scene, np.random.Generator], Candidates]] = {
    "existence": _existence,
    "count": _count,
    "colour": _attribute("colour", "what colour is the {}?"),
    "shape": _attribute("shape", "what shape is the {}?"),
    "material": _attribute("material", "what material is the {}?"),
    "size": _attribute("size", "what size is the {}?"),
    "direction4": _direction(4),
    "direction8": _direction(8),
    "view": _view,
    "relative": _relative,
    "turn": _turn,
    "distance": _distance,
    "elevation": _elevation,
}


def chance_levels() -> dict[str, float]:
    """Return, per kind, the accuracy of guessing uniformly among the answers that the wording allows."""
    return {
        "existence": 1 / 2,
        "count": 1 / (MAX_COUNT + 1),
        "colour": 1 / len(COLOURS),
        "shape": 1 / len(SHAPES),
        "material": 1 / len(MATERIALS),
        "size": 1 / len(SIZES),
        "direction4": 1 / len(SECTORS4),
        "direction8": 1 / len(SECTORS8),
        "view": NOTHING_SHARE,
        "relative": 1 / 2,
        "turn": 1 / len(SECTORS8),
        "distance": 1 / 2,
        "elevation": 1 / 2,
    }


class QuestionSampler:
    """Draws questions scene by scene so that, per wording, every answer is given equally often.

    The draw depends on the scenes seen before: the same sequence of scenes gives the same questions.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._given: dict[str, Counter[str]] = {}

    def draw(self, scene: Scene, *, count: int) -> list[Question]:
        """Return at most ``count`` distinct questions about the scene, kinds taken in turn."""
        rng = np.random.Generator(np.random.Philox(key=[self._seed + 1, scene.index]))
        pools = {kind: list(make(scene, rng)) for kind, make in QUESTION_KINDS.items()}
        order = [str(kind) for kind in rng.permutation(list(pools))]
        drawn: list[Question] = []
        while order and len(drawn) < count:
            for kind in list(order):
                pools[kind] = [c for c in pools[kind] if not self._is_worn(c)]
                if not pools[kind]:
                    order.remove(kind)
                elif len(drawn) < count:
                    drawn.append(self._take(kind, pools[kind], rng))
        return drawn

    def _is_worn(self, candidate: tuple[str, str, str]) -> bool:
        """Whether "nothing" has been the answer to this wording as often as an answer may be."""
        template, _, answer = candidate
        given = self._given.get(template)
        return answer == "nothing" and given is not None and given[answer] > 1 + NOTHING_SHARE * given.total()

    def _take(self, kind: str, pool: list[tuple[str, str, str]], rng: np.random.Generator) -> Question:
        """Remove from the pool, and return, a candidate whose answer is the rarest so far."""
        usage = [self._usage(kind, template, answer) for template, _, answer in pool]
        best = min(usage)
        choice = int(rng.choice([i for i, u in enumerate(usage) if u == best]))
        template, question, answer = pool.pop(choice)
        key = _balance_key(kind, template)
        self._given.setdefault(key, Counter())[_balance_answer(kind, template, answer)] += 1
        pool[:] = [entry for entry in pool if entry[1] != question]
        return Question(kind=kind, template=template, question=question, answer=answer)

    def _usage(self, kind: str, template: str, answer: str) -> int:
        given = self._given.get(_balance_key(kind, template))
        return given[_balance_answer(kind, template, answer)] if given else 0


def _balance_key(kind: str, template: str) -> str:
    return kind if kind == "distance" else template


def _balance_answer(kind: str, template: str, answer: str) -> str:
    return template if kind == "distance" else answer
