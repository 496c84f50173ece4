"""Princeton WordNet 3.0, reduced to what METEOR reads, packaged: no download, no nltk_data.

``wordnet30.xz`` (written by ``tools/build_wordnet_table.py``; licence in ``LICENSE-WordNet``) is text::

    @synsets n            then one synset of that part of speech a line: its lemma names
    domestic_dog dog Canis_familiaris
    @exceptions n         then one irregular form a line, followed by its base forms
    mice mouse

Look-up follows the morphology of WordNet ("morphy") as NLTK applies it: the word itself and its base forms,
from the list of irregular forms if it is there, else by one suffix rule. ``tests`` compare the result with
NLTK's own reader.
"""

import lzma
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Protocol

_PARTS = ("n", "v", "a", "r")

# (suffix, replacement), each applied at most once; the detachment rules of the WordNet manual, morphy(7WN).
_SUFFIXES: dict[str, tuple[tuple[str, str], ...]] = {
    "n": (
        ("s", ""),
        ("ses", "s"),
        ("ves", "f"),
        ("xes", "x"),
        ("zes", "z"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("men", "man"),
        ("ies", "y"),
    ),
    "v": (
        ("s", ""),
        ("ies", "y"),
        ("es", "e"),
        ("es", ""),
        ("ed", "e"),
        ("ed", ""),
        ("ing", "e"),
        ("ing", ""),
    ),
    "a": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "r": (),
}


@dataclass(frozen=True, slots=True)
class Lemma:
    """A lemma with NLTK's interface."""

    text: str

    def name(self) -> str:
        """Return the lemma's name, words joined by "_"."""
        return self.text


@dataclass(frozen=True, slots=True)
class Synset:
    """A synset with the part of NLTK's interface that METEOR calls."""

    names: tuple[str, ...]

    def lemmas(self) -> list[Lemma]:
        """Return the synset's lemmas."""
        return [Lemma(name) for name in self.names]


class Synonyms(Protocol):
    """Where METEOR looks words up: ``WordNet``, or ``wordnet_nltk.NltkWordNet``."""

    def synonyms(self, word: str) -> frozenset[str]:
        """Return the single-word lemmas of the word's synsets."""


class WordNet:
    """Synsets by word. Pass it as ``wordnet=`` to ``nltk.translate.meteor_score``, or use ``synonyms``."""

    def __init__(self, text: str) -> None:
        # Lines joined in one string per word, and not a list of them: 118,000 lists would take twice as long.
        self._index: dict[str, dict[str, str]] = {part: {} for part in _PARTS}
        self._exceptions: dict[str, dict[str, str]] = {part: {} for part in _PARTS}
        self._synonyms: dict[str, frozenset[str]] = {}
        for section in text.split("\n@")[1:]:
            head, *lines = section.splitlines()
            name, _, part = head.partition(" ")
            if name == "synsets":
                self._add_synsets(self._index[part], lines)
            else:
                self._exceptions[part].update(
                    (form, bases) for form, _, bases in (line.partition(" ") for line in lines)
                )

    @staticmethod
    def _add_synsets(index: dict[str, str], lines: list[str]) -> None:
        known = index.get
        for line in lines:
            for lemma in line.lower().split(" "):
                earlier = known(lemma)
                index[lemma] = line if earlier is None else f"{earlier}\n{line}"

    def synsets(self, word: str) -> list[Synset]:
        """Return the synsets of a word and of its base forms, except those of multi-word lemmas alone."""
        return [Synset(tuple(line.split(" "))) for line in self._lines(word)]

    def synonyms(self, word: str) -> frozenset[str]:
        """Return the single-word lemmas of the word's synsets; case as in WordNet; remembered.

        Example:
            >>> sorted(load_wordnet().synonyms("sofas"))
            ['couch', 'lounge', 'sofa']
        """
        known = self._synonyms.get(word)
        if known is None:
            names = (name for line in self._lines(word) for name in line.split(" "))
            known = self._synonyms[word] = frozenset(name for name in names if "_" not in name)
        return known

    def _lines(self, word: str) -> list[str]:
        word = word.lower()
        found: list[str] = []
        for part in _PARTS:
            index = self._index[part]
            for form in dict.fromkeys([word, *self._base_forms(word, part)]):
                if form in index:
                    found += index[form].split("\n")
        return found

    def _base_forms(self, word: str, part: str) -> list[str]:
        irregular = self._exceptions[part].get(word)
        if irregular is not None:
            return irregular.split()
        return [word[: -len(old)] + new for old, new in _SUFFIXES[part] if word.endswith(old)]


@cache
def load_wordnet() -> WordNet:
    """Return the packaged WordNet 3.0; read once per process."""
    packed = resources.files(__package__).joinpath("wordnet30.xz").read_bytes()
    return WordNet(lzma.decompress(packed).decode("utf-8"))
