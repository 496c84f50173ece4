"""Build the table of characters that the Python tokenizer reads from the answers of the official Java tokenizer.

Usage, from the repository root, with Java and the extra ``panollava[coco]`` installed::

    python tools/build_ptb_characters.py

Every character of the basic plane is put between two letters, between two digits and alone. It is L a letter or D a
digit when it makes one token of both; M a mark when of letters only; U unknown when it disappears; S itself in
all other cases. The file lists runs of equal kind: "S65 L26 ..." are 65 characters of kind S, then 26 letters.
"""

import itertools
import unicodedata
from pathlib import Path

from panollava.metrics.ptb import LINE_BREAKS
from panollava.metrics.ptb_jar import official_lines

TABLE = Path(__file__).resolve().parents[1] / "src" / "panollava" / "metrics" / "ptb_characters.txt"
# Dropped when alone, but they join words or numbers; nothing to see, but part of a word.
KEPT = {"\u058a": "S", "\u2010": "S", "\u2011": "S", "\u066b": "S", "\u066c": "S", "\u00a0": "S", "\u00ad": "M"}


def main() -> None:
    """Ask about every character, write the table."""
    signs = [chr(code) for code in range(0x80, 0x10000) if not 0xD800 <= code <= 0xDFFF]
    kinds = dict(zip(map(chr, range(0x10000)), itertools.repeat("U")))
    kinds.update({chr(code): "S" for code in range(0x80) if chr(code).isprintable() or chr(code) in "\t\n"})
    between = official_lines([f"a{sign}b" for sign in signs])
    numbers = official_lines([f"1{sign}2" for sign in signs])
    alone = official_lines([f"x {sign} y" for sign in signs])
    for sign, word, number, single in zip(signs, between, numbers, alone, strict=True):
        kinds[sign] = KEPT.get(sign) or kind_of(sign, word, number, single)
    runs = [f"{kind}{len(list(run))}" for kind, run in itertools.groupby(kinds.values())]
    lines = [" ".join(runs[start : start + 20]) for start in range(0, len(runs), 20)]
    TABLE.write_text("\n".join(lines) + "\n", encoding="ascii")


def kind_of(sign: str, word: str, number: str, single: str) -> str:
    """Return the kind of a character from what it made of the three texts."""
    if single == "x y" or (LINE_BREAKS.match(sign) and sign != "\x85"):
        return "U"
    if " " in word:
        return "S"
    if unicodedata.category(sign) == "Nd":
        return "D"
    return "M" if " " in number else "L"


if __name__ == "__main__":
    main()
