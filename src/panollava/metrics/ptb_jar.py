"""The official Penn Treebank tokenizer of COCO caption evaluation: the Java program itself, as a subprocess.

The jar is Stanford CoreNLP 3.4.1, GPL, out of the package pycocoevalcap that the user has installed. One run
tokenizes all texts, in a folder of its own, within a time limit.
"""

import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from panollava.errors import MetricUnavailable
from panollava.metrics.java import run_java
from panollava.metrics.ptb import LINE_BREAKS, PUNCTUATION

JAR = "stanford-corenlp-3.4.1.jar"
OFFICIAL_PTB = "ptb-3.4.1"  # the tokenizer in signatures


def find_jar() -> Path:
    """Return the tokenizer's jar in the installed pycocoevalcap.

    Raises:
        MetricUnavailable: The package is not installed, or holds no such jar.
    """
    spec = find_spec("pycocoevalcap")
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        jar = Path(folder) / "tokenizer" / JAR
        if jar.is_file():
            return jar
    where = f"in {', '.join(folders)} is no tokenizer/{JAR}" if folders else "the package 'pycocoevalcap' is missing"
    raise MetricUnavailable(
        f"the tokenizer 'ptb' is the jar of pycocoevalcap 1.2, and {where}. Install it with"
        ' pip install "panollava[coco]", or use ptb-py, which needs no Java.'
    )


def official_lines(texts: Sequence[str]) -> list[str]:
    """Return the line that the official tokenizer writes for each text, punctuation included.

    The texts go through as one stream, as in pycocoevalcap, so a text that ends in a single letter and a period
    is read with regard to the next one. A line break inside a text becomes a space, so that no line shifts.

    Raises:
        MetricUnavailable: No jar, no Java, out of time, or not one line per text.
    """
    if not texts:
        return []
    jar = find_jar()
    command = ["-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase"]
    stdin = "\n".join(LINE_BREAKS.sub(" ", text) for text in texts) + "\n"
    with tempfile.TemporaryDirectory(prefix="panollava-ptb-") as folder:
        limit_s = 60.0 + len(stdin) / 100_000  # it reads millions of characters a second
        out = run_java(command, stdin=stdin, timeout_s=limit_s, cwd=Path(folder), what="the tokenizer 'ptb'")
    lines = out.split("\n")[:-1]
    if len(lines) != len(texts):
        raise MetricUnavailable(
            f"the tokenizer 'ptb' wrote {len(lines)} lines for {len(texts)} texts, so tokens cannot be told apart."
            " Use ptb-py."
        )
    return lines


def official_tokens(texts: Sequence[str]) -> list[list[str]]:
    """Return the official tokens of each text without punctuation; arguments and errors as ``official_lines``."""
    return [[word for word in line.split(" ") if word and word not in PUNCTUATION] for line in official_lines(texts)]


def count_broken(texts: Sequence[str]) -> int:
    r"""Return how many texts hold a line break, which the tokenizer reads as a space here.

    Example:
        >>> count_broken(["a red\r\nsofa", "a sofa"])
        1
    """
    return sum(LINE_BREAKS.search(text) is not None for text in texts)
