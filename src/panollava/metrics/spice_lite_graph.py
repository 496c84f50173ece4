"""The scene graph of captions, and how two of them are compared: the scoring half of ``spice_lite``.

A caption is read as tuples of lemmas (``spice_lite_parse``): an object ("dog",), an object with an attribute
("dog", "black"), two objects with a relation ("dog", "on", "sofa"). Tuples of one or several captions make a graph::

    ("couch",) ("sofa", "red") ("dog", "on", "sofa")      couch/sofa --- red
                                                             ^
                                                             | on
                                                            dog

Words that share a synset of WordNet name one object; attributes of an object, and relations between the same two
objects, are joined likewise. These are the rules of Anderson et al. (2016, sections 3.1 and 3.2), with WordNet 3.0
of this package in place of METEOR's table, which is made of the same synsets.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from panollava.metrics.wordnet import load_wordnet

Tuple = tuple[str, ...]
"""Lemmas: an object; an object and an attribute; subject, object and relation, in this order."""


@dataclass(slots=True)
class Concept:
    """Words that name one thing, and the synsets they are in."""

    words: set[str]
    synsets: set[tuple[str, ...]]

    def matches(self, other: "Concept") -> bool:
        """Whether the two share a word or a synset."""
        return not (self.words.isdisjoint(other.words) and self.synsets.isdisjoint(other.synsets))

    def likeness(self, other: "Concept") -> float:
        """Return 1 where a word is shared, else the share of synsets in common, in 0..1."""
        if not self.words.isdisjoint(other.words):
            return 1.0
        either = self.synsets | other.synsets
        return len(self.synsets & other.synsets) / len(either) if either else 0.0

    def take(self, other: "Concept") -> None:
        """Let this concept name what the other one does too."""
        self.words |= other.words
        self.synsets |= other.synsets


class SceneGraph:
    """Objects, their attributes and relations, joined while they are added.

    Args:
        tuples: what captions say, in order.

    Example:
        >>> graph = SceneGraph([("couch",), ("sofa", "red"), ("dog", "sofa", "on")])
        >>> [sorted(concept.words) for concept in graph.objects]
        [['couch', 'sofa'], ['dog']]
        >>> len(graph.facts())
        4
    """

    def __init__(self, tuples: Iterable[Tuple] = ()) -> None:
        self.objects: list[Concept] = []
        self._attributes: list[list[Concept]] = []
        self._relations: dict[tuple[int, int], list[Concept]] = {}
        for entry in tuples:
            self.add(entry)

    def add(self, entry: Tuple) -> None:
        """Add one tuple of 1, 2 or 3 lemmas."""
        source = self._object(entry[0])
        if len(entry) == 2:
            _join(self._attributes[source], concept_of(entry[1]))
        elif len(entry) == 3:
            target = self._object(entry[1])
            _join(self._relations.setdefault((source, target), []), concept_of(entry[2].removeprefix("be ")))

    def facts(self) -> list[tuple[Concept, ...]]:
        """Return everything the graph says: objects, objects with attributes, related objects."""
        said: list[tuple[Concept, ...]] = []
        for concept, attributes in zip(self.objects, self._attributes, strict=True):
            said.append((concept,))
            said += [(concept, attribute) for attribute in attributes]
        for (source, target), relations in self._relations.items():
            said += [(self.objects[source], relation, self.objects[target]) for relation in relations]
        return said

    def _object(self, word: str) -> int:
        """Return the place of the object that a word names, the likest one, or of a new one."""
        new = concept_of(word)
        likeness = [known.likeness(new) for known in self.objects]
        best = max(range(len(likeness)), key=likeness.__getitem__, default=0)
        if likeness and likeness[best] > 0.0:
            self.objects[best].take(new)
            return best
        self.objects.append(new)
        self._attributes.append([])
        return len(self.objects) - 1


def _join(known: list[Concept], new: Concept) -> None:
    for concept in known:
        if concept.matches(new):
            concept.take(new)
            return
    known.append(new)


def concept_of(words: str) -> Concept:
    """Return the concept of a lemma or of several words ("in front of")."""
    return Concept({words}, set(_synsets(words.replace(" ", "_"))))


@cache
def _synsets(lemma: str) -> frozenset[tuple[str, ...]]:
    return frozenset(synset.names for synset in load_wordnet().synsets(lemma))


def graph_f1(candidate: Sequence[Tuple], reference: Sequence[Tuple]) -> float:
    """Return the F1 of the facts of two scene graphs.

    A fact of the candidate counts when some fact of the reference has as many parts and matches it in each; one fact
    of the reference may serve several of the candidate, so that the value can pass 1 where synonyms of synonyms meet.

    Args:
        candidate: tuples of the prediction.
        reference: tuples of all references together.

    Example:
        >>> graph_f1([("sofa", "red")], [("couch", "red"), ("dog",)])
        0.8
    """
    ours, theirs = SceneGraph(candidate).facts(), SceneGraph(reference).facts()
    hits = sum(any(_same(fact, other) for other in theirs) for fact in ours)
    return 2.0 * hits / (len(ours) + len(theirs)) if hits else 0.0


def _same(one: tuple[Concept, ...], other: tuple[Concept, ...]) -> bool:
    return len(one) == len(other) and all(a.matches(b) for a, b in zip(one, other, strict=True))
