"""From the dependency parse of a caption to tuples of lemmas: the reading half of ``spice_lite``.

::

    a red sofa stands in front of two windows
          sofa <-nsubj- stands -prep-> in -pobj-> front -prep-> of -pobj-> windows -nummod-> two

    ("sofa",) ("window",) ("sofa", "red") ("window", "two") ("sofa", "window", "stand in front of")

The rules are this project's own, on the labels of spaCy's English models (ClearNLP). They read what SPICE reads:
objects, attributes (adjectives, numbers, first parts of compounds, predicates without an object) and relations
(verbs, prepositions, possession). They differ from SPICE's in what a panorama asks for: "to the left of" is one
relation.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from panollava.metrics.spice_lite_graph import Tuple

_AMOUNTS = frozenset({"couple", "lot", "bunch", "dozen", "number", "plenty", "handful"})  # "a couple of dogs"
_PLACES = frozenset({"front", "top", "back", "middle", "center", "centre", "left", "right", "side"})  # "on top of"


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a parsed caption.

    Attributes:
        text: as written.
        lemma: its base form.
        tag: its Penn Treebank tag.
        dep: its relation to the head.
        head: the place of the head; its own place for the root.
    """

    text: str
    lemma: str
    tag: str
    dep: str
    head: int


def read_tuples(words: Sequence[Word]) -> list[Tuple]:
    """Return what a caption says, objects first.

    Example:
        >>> read_tuples([Word("red", "red", "JJ", "amod", 1), Word("sofas", "sofa", "NNS", "ROOT", 1)])
        [('sofa',), ('sofa', 'red')]
    """
    return _Reader(words).read()


class _Reader:
    """Reads one caption; words are named by their places."""

    def __init__(self, words: Sequence[Word]) -> None:
        self.words = words
        self._children: list[list[int]] = [[] for _ in words]
        for place, word in enumerate(words):
            if word.head != place:
                self._children[word.head].append(place)
        # nouns that are part of an amount or of a preposition
        self._silent = {i for i in range(len(words)) if self.thing(i) != i or self._is_place(i)}

    def read(self) -> list[Tuple]:
        nouns = [i for i, word in enumerate(self.words) if self.is_noun(i) and word.dep != "compound"]
        said = [entry for i in nouns for entry in self.of_noun(i)]
        said += [entry for i, word in enumerate(self.words) if word.tag.startswith("VB") for entry in self.of_verb(i)]
        objects: list[Tuple] = [(self.name(i),) for i in nouns if i not in self._silent]
        return objects + said

    # ---- words

    def is_noun(self, place: int) -> bool:
        return self.words[place].tag.startswith("NN")

    def name(self, place: int) -> str:
        return self.words[place].lemma.lower()

    def below(self, place: int, *deps: str) -> list[int]:
        return [child for child in self._children[place] if self.words[child].dep in deps]

    def thing(self, place: int) -> int:
        """Return the dogs of "a couple of dogs", and any other word itself."""
        if self.name(place) in _AMOUNTS:
            for link in self.below(place, "prep"):
                for inner in self.below(link, "pobj"):
                    if self.name(link) == "of" and self.is_noun(inner):
                        return inner
        return place

    def _is_place(self, place: int) -> bool:
        """Whether a noun is the middle of a preposition: the front of "in front of"."""
        return self.words[place].dep == "pobj" and self.name(place) in _PLACES and bool(self._of(place))

    def _of(self, place: int) -> list[int]:
        return [link for link in self.below(place, "prep") if self.name(link) == "of"]

    def joined(self, place: int) -> list[int]:
        """Return a word and those that "and" or "or" join to it, of the same kind."""
        kind = self.words[place].tag[:2]
        found = [place]
        for child in self.below(place, "conj"):
            if self.words[child].tag[:2] == kind:
                found += self.joined(child)
        return found

    def things(self, places: list[int]) -> list[int]:
        """Return the nouns among some words, those joined to them, amounts resolved."""
        return [self.thing(i) for place in places if self.is_noun(place) for i in self.joined(place)]

    # ---- prepositions

    def links(self, place: int) -> Iterator[tuple[str, list[int]]]:
        """Yield what a word is related to by prepositions: ("in front of", [the window])."""
        for child in self.below(place, "prep", "advmod"):
            yield from self._link(child, [])

    def _link(self, place: int, before: list[str]) -> Iterator[tuple[str, list[int]]]:
        phrase = [*before, self.words[place].text.lower()]
        inner = self.below(place, "pobj")
        if not inner:
            for child in self.below(place, "prep"):  # next to, out of
                yield from self._link(child, phrase)
        for noun in inner:
            if self._is_place(noun):
                for link in self._of(noun):
                    yield from self._link(link, [*phrase, self.name(noun)])
            else:
                yield " ".join(phrase), self.things([noun])

    # ---- nouns

    def of_noun(self, place: int) -> Iterator[Tuple]:
        thing = self.thing(place)
        name = self.name(thing)
        if thing != place:
            yield name, self.name(place)
        for adjective in self.below(place, "amod"):
            for each in self.joined(adjective):
                yield name, self.name(each)
        for number in self.below(place, "nummod"):
            if number < place:  # not "number 5"
                yield name, self.words[number].text.lower()
        for part in self.below(place, "compound"):
            yield name, self.name(part)
        for owner in self.things(self.below(place, "poss")):
            yield self.name(owner), name, "have"
        if thing == place and place not in self._silent:
            for phrase, others in self.links(place):
                for other in others:
                    yield name, self.name(other), phrase

    # ---- verbs

    def of_verb(self, place: int) -> Iterator[Tuple]:
        if self.words[place].dep in ("aux", "auxpass", "amod"):
            return
        subjects = [self.name(i) for i in self.subjects(place)]
        if self.name(place) == "be":
            yield from self._of_being(place, subjects)
            return
        verb = " ".join([self.name(place), *(self.words[i].text.lower() for i in self.below(place, "prt"))])
        for agent in self.below(place, "agent"):
            for actor in self.things(self.below(agent, "pobj")):
                yield from ((self.name(actor), subject, verb) for subject in subjects)
        related = [(verb, other) for other in self.things(self.below(place, "dobj", "dative"))]
        related += [(f"{verb} {phrase}", other) for phrase, others in self.links(place) for other in others]
        for subject in subjects:
            yield from ((subject, self.name(other), relation) for relation, other in related)
            if not related and not self.below(place, "agent", "xcomp", "ccomp"):
                yield subject, verb

    def _of_being(self, place: int, subjects: list[str]) -> Iterator[Tuple]:
        nouns = self.things(self.below(place, "attr"))
        if self.below(place, "expl"):  # there is a dog on the sofa
            subjects, nouns = [self.name(i) for i in nouns], []
        qualities = [i for adjective in self.below(place, "acomp") for i in self.joined(adjective)] + nouns
        for subject in subjects:
            yield from ((subject, self.name(quality)) for quality in qualities)
            for phrase, others in self.links(place):
                yield from ((subject, self.name(other), phrase) for other in others)

    def subjects(self, place: int) -> list[int]:
        """Return the nouns that do what a verb says, or to which it is done."""
        word = self.words[place]
        own = self.below(place, "nsubj", "nsubjpass")
        if any(self.is_noun(i) for i in own):
            return self.things(own)
        if word.dep == "relcl" and all(self.words[i].tag in ("WDT", "WP") for i in own):
            return self.things([word.head])
        if word.dep == "acl":
            return self.things([word.head])
        if not own and word.dep in ("conj", "xcomp", "advcl") and self.words[word.head].tag.startswith("VB"):
            return self.subjects(word.head)
        return []
