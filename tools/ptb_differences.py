r"""Hold the Python tokenizer against the official Java one, line by line, and count where they differ.

Usage, from the repository root, with Java and the extra ``panollava[coco]`` installed::

    python tools/ptb_differences.py --coco val                        # captions inside pycocoevalcap
    python tools/ptb_differences.py --generated 20000 --seed 1 --show 20
    python tools/ptb_differences.py --prose --part held-out           # documentation of this Python's packages
    python tools/ptb_differences.py --code --part held-out            # their source lines and paths
    python tools/ptb_differences.py notes.txt --show 20
    python tools/ptb_differences.py --generated 45 --seed 4 --freeze tests/unit/metrics/ptb_hard_official.json
    python tools/ptb_differences.py ptb_own_official.json --freeze ptb_own_official.json    # with lines added

A third of the lines, chosen by a hash, is "held-out": it is counted, never shown, so that rules written from the
other part can be judged by it. The captions of val2014 are never shown either.
"""

import argparse
import ast
import hashlib
import itertools
import json
import random
import sys
import sysconfig
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from panollava.metrics.ptb import LINE_BREAKS, PUNCTUATION, ptb_lines
from panollava.metrics.ptb_jar import find_jar, official_lines

DOCUMENTS = ("METADATA", "LICENSE", "README", "NOTICE", "COPYING", "CHANGELOG")
# Pieces of the generated lines: what a rule is about, and what may stand beside it.
PIECES = {
    "words": "a b 1 A B - / _ . ' & , foo The",
    "numbers": "1 2 12 123 1234 . , - / : + ( ) $ % a st",
    "signs": "' \" ( ) [ ] { } < > ^ _ - ~ = : ; @ * # & . , ! ? / \\ | ` + $ % a D 1",
    "stops": "a A foo Foo . The the co no 1 U.S etc Mr fig Ill PTY I ) \" 's - ,",
    "apostrophes": "' s n't foo a n re N T tis em d 90 ` O I",
    "addresses": "http:// www. foo bar a .com . .org / ? = - @ _ , ) 1 A :",
    "tags": '< > / a b ="x" =\'y ! - 1 _ . = &amp; &eacute;',
    "beyond ASCII": (
        "a 1 \u00e9 \u4e2d \u2014 \u2013 \u2026 \u2019 \u2018 \u201c \u201d \u00ab \u00bd \u00a3 \u20ac \u00b0 \u00d7"
        " \u00ae . , - s t n d The ' : / _ \U0001f600 \ufeff \u200b \u0301 \u0663 \u00a0"
    ),
    "captions": (
        "the man isn't dog's (left) red, blue; 2 1/2 3-D t-shirt. \"OK\" 'yes' Mr. St. 5th 10:30 $5 50% ... -- - cannot"
        " gonna can't. U.S. A. B. & No. #1 @x I we've etc. and/or o'clock '90s 1990's TV/DVD 10' 6\" :) 10,000 3.5 -5"
        " www.a.com a.b.c e.g., : ! ? (555) 123-4567 The there"
    ),
}


def generated(count: int, *, seed: int) -> Iterator[str]:
    """Yield about ``count`` lines of each kind of ``PIECES``."""
    draw = random.Random(seed)
    for kind, words in PIECES.items():
        gap, more = (" ", []) if kind == "captions" else ("", [" "])
        pieces = words.split(" ") + more
        lines = (gap.join(draw.choices(pieces, k=draw.randint(1, 8))) for _ in range(count))
        yield from (line for line in lines if line.strip())


def coco(part: str) -> list[str]:
    """Return the captions of COCO train2014 or val2014 out of the SPICE jar of pycocoevalcap."""
    with zipfile.ZipFile(find_jar().parents[1] / "spice" / "spice-1.0.jar") as jar:
        content = json.loads(jar.read(f"coco/annotations/captions_{part}2014.json"))
    return [annotation["caption"] for annotation in content["annotations"]]


def read_lines(path: Path, *, strip: bool = True) -> list[str]:
    """Return the lines of a file; of one that is no text, none; of a frozen fixture, its texts."""
    if path.name.endswith("_official.json"):
        return [text for text, _ in json.loads(path.read_text(encoding="utf-8"))["pairs"]]
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return []
    return [line.strip() for line in lines] if strip else lines


def packages(ending: str = "*") -> list[Path]:
    """Return the files below this Python's site-packages, in order."""
    return sorted(path for path in Path(sysconfig.get_path("purelib")).rglob(ending) if path.is_file())


def prose() -> Iterator[str]:
    """Yield docstrings of the standard library, and the documents that packages bring."""
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if "site-packages" in path.parts:
            continue
        try:
            tree = ast.parse("\n".join(read_lines(path, strip=False)))
        except SyntaxError:
            continue  # test data of Python itself
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                yield from (line.strip() for line in (ast.get_docstring(node) or "").splitlines())
    for path in packages():
        if path.name.upper().startswith(DOCUMENTS) and path.suffix not in (".py", ".pyc"):
            yield from read_lines(path)


def code() -> Iterator[str]:
    """Yield every twentieth line of the packages' Python files, and their paths."""
    for path in packages("*.py"):
        yield str(path.relative_to(sysconfig.get_path("purelib")))
        yield from read_lines(path)[::20]


def is_held_out(line: str) -> bool:
    """Tell whether a line belongs to the third that is counted but not shown."""
    return hashlib.sha256(line.encode("utf-8", errors="replace")).digest()[0] % 3 == 0


def chosen(args: argparse.Namespace) -> list[str]:
    """Return the lines that were asked for, without line breaks; each once, but captions as they come."""
    lines: Iterator[str] = itertools.chain(
        itertools.chain.from_iterable(map(read_lines, args.files)),
        generated(args.generated, seed=args.seed),
        prose() if args.prose else (),
        code() if args.code else (),
    )
    clean = dict.fromkeys(LINE_BREAKS.sub(" ", line) for line in lines)
    texts = [
        line for line in clean if line.strip() and (args.part == "all" or is_held_out(line) == (args.part != "seen"))
    ]
    return texts + [LINE_BREAKS.sub(" ", caption) for caption in (coco(args.coco) if args.coco else ())]


def difference(official: list[str], ours: list[str]) -> tuple[str, str]:
    """Return the tokens between what both begin with and what both end with, as a category."""
    head = common(official, ours)
    theirs, mine = official[head:], ours[head:]
    tail = common(theirs[::-1], mine[::-1])
    return " ".join(theirs[: len(theirs) - tail]), " ".join(mine[: len(mine) - tail])


def common(first: list[str], second: list[str]) -> int:
    """Return how many tokens both lists begin with."""
    pairs = zip(first, second, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def main() -> None:
    """Run both tokenizers and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--coco", choices=["train", "val"])
    parser.add_argument("--generated", type=int, default=0, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--prose", action="store_true")
    parser.add_argument("--code", action="store_true")
    parser.add_argument("--part", choices=["all", "seen", "held-out"], default="all")
    parser.add_argument("--show", type=int, default=0, metavar="N", help="the N most frequent differences")
    parser.add_argument("--freeze", type=Path, metavar="OUT", help="write lines and official output as a fixture")
    args = parser.parse_args()
    texts = chosen(args)
    official = official_lines(texts)
    start = time.process_time()
    ours = ptb_lines(texts)
    seconds = time.process_time() - start
    report(texts, official, ours, args)
    sys.stdout.write(f"{sum(map(len, ours)) / seconds / 1e6:.2f} million tokens a second\n")
    if args.freeze:
        about = f"python tools/ptb_differences.py {' '.join(sys.argv[1:])}"
        pairs = list(zip(texts, official, strict=True))
        args.freeze.write_text(json.dumps({"about": about, "pairs": pairs}, indent=0) + "\n", encoding="ascii")


def report(texts: list[str], official: list[str], ours: list[list[str]], args: argparse.Namespace) -> None:
    """Print how many lines differ, and the most frequent differences of lines that may be seen."""
    kinds: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], str] = {}
    for text, line, tokens in zip(texts, official, ours, strict=True):
        theirs = [word for word in line.split(" ") if word and word not in PUNCTUATION]
        if theirs != tokens:
            kind = difference(theirs, tokens)
            kinds[kind] += 1
            examples.setdefault(kind, text)
    count = sum(kinds.values())
    sys.stdout.write(f"{count} of {len(texts)} lines differ, {1e5 * count / max(1, len(texts)):.1f} in 100,000\n")
    if args.part == "held-out" or args.coco == "val":
        return
    for (theirs_text, ours_text), times in kinds.most_common(args.show):
        example = examples[theirs_text, ours_text]
        sys.stdout.write(f"{times:5d}  official {theirs_text!a}  ours {ours_text!a}  in {example[:200]!a}\n")


if __name__ == "__main__":
    main()
