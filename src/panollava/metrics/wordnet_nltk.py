"""WordNet as NLTK reads it from the user's nltk_data, to compare with the packaged table.

METEOR over the two must agree; where it does not, the data are not WordNet 3.0. Reading takes seconds.
"""

from typing import Any

from panollava.errors import MetricUnavailable


class NltkWordNet:
    """Synonyms by a reader of NLTK, or by anything with its ``synsets(word)``."""

    def __init__(self, reader: Any, *, version: str = "") -> None:
        self.version = version
        self._reader = reader
        self._synonyms: dict[str, frozenset[str]] = {}

    def synonyms(self, word: str) -> frozenset[str]:
        """Return the single-word lemmas of the word's synsets, as NLTK's METEOR collects them; remembered.

        Example:
            >>> from panollava.metrics.wordnet import load_wordnet
            >>> sorted(NltkWordNet(load_wordnet()).synonyms("sofas"))
            ['couch', 'lounge', 'sofa']
        """
        known = self._synonyms.get(word)
        if known is None:
            names = (lemma.name() for synset in self._reader.synsets(word) for lemma in synset.lemmas())
            known = self._synonyms[word] = frozenset(name for name in names if "_" not in name)
        return known


def load_nltk_wordnet() -> NltkWordNet:
    """Return NLTK's reader on the ``corpora/wordnet`` that NLTK finds (folders of ``NLTK_DATA`` first).

    Raises:
        MetricUnavailable: NLTK or its WordNet is not installed.
    """
    try:
        from nltk.corpus import wordnet
    except ImportError as error:
        raise MetricUnavailable(
            "WordNet by NLTK needs the package 'nltk'. pip install nltk, or use the packaged WordNet: --metrics meteor."
        ) from error
    try:
        wordnet.ensure_loaded()
    except LookupError as error:
        raise MetricUnavailable(
            "NLTK finds no corpora/wordnet. Run 'python -m nltk.downloader wordnet', or set NLTK_DATA to the folder"
            " that has it, or use the packaged WordNet: --metrics meteor."
        ) from error
    return NltkWordNet(wordnet, version=str(wordnet.get_version()))
