"""Caption metrics against their official implementations, in one run: ``python benchmarks/metrics.py``.

The captions are those of COCO val2014 in the package pycocoevalcap: of each image the first is the prediction, the
others are its references. Both sides get the same tokens. Every scorer runs in a process of its own, on one core, in
turn with its rival, round by round; CPU seconds are counted, the least of the rounds is compared. ``make
bench-metrics`` installs the rivals. A target that is missed is printed as MISSED; it is a measurement, not a test.
"""

import argparse
import csv
import json
import os
import pickle
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from geometry_report import Section, Table, Target, Times, faster, load_average, machine
from metrics_data import Corpus, coco_groups, corpus, package_folder, wordnet_for_nltk

IMAGES = 5000  # the targets are for so many
WORKER = Path(__file__).with_name("metrics_worker.py")


@dataclass(frozen=True)
class Pair:
    """A metric, its official scorer and ours."""

    metric: str
    official: str
    ours: str
    package: str
    at_least: float | None = None
    tolerance: float = 0.0
    count_loading: bool = False


PAIRS = (
    Pair("CIDEr", "pycocoevalcap CIDEr", "our CIDEr", "pycocoevalcap", 8, 1e-12),
    Pair("METEOR", "NLTK METEOR", "our METEOR", "nltk", 15, count_loading=True),
    Pair("ROUGE-L", "rouge_score", "our ROUGE-L", "rouge_score", 6),
    Pair("ROUGE-L on stems", "rouge_score, stems", "our ROUGE-L, stems", "rouge_score", 6),
    Pair("sacrebleu BLEU", "sacrebleu", "our sacrebleu BLEU", "sacrebleu", 3),
    Pair("COCO BLEU-1..4", "pycocoevalcap BLEU", "our COCO BLEU", "pycocoevalcap"),
    Pair("COCO ROUGE-L", "pycocoevalcap ROUGE-L", "our COCO ROUGE-L", "pycocoevalcap"),
)


class Runs:
    """The processes of a run: what each took, in CPU seconds, and what it found."""

    def __init__(self, folder: Path, data: Corpus) -> None:
        self.folder, self.out = folder, folder / "out"
        (folder / "texts").write_bytes(pickle.dumps(replace(data, said=[], given=[])))
        (folder / "tokens").write_bytes(pickle.dumps(replace(data, predictions=[], references=[])))
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1", "BENCH_NLTK_DATA": wordnet_for_nltk(folder) or ""}
        self.seconds: Times = {}
        self.values: dict[str, Any] = {}
        self.failures: dict[str, str] = {}

    def run(self, method: str) -> None:
        """Run a scorer once more; one that failed is not tried again."""
        if method in self.failures:
            return
        command = [sys.executable, str(WORKER), method, str(self.folder), str(self.out)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        if done.returncode:
            self.failures[method] = (done.stderr.strip().splitlines() or ["no message"])[-1]
            return
        found = pickle.loads(self.out.read_bytes())
        cells = self.seconds.setdefault(method, {})
        for column in ("start", "load", "score"):
            cells.setdefault(column, []).append(found[column])
        cells.setdefault("load + score", []).append(found["load"] + found["score"])
        self.values[method] = found["values"]


def parity(runs: Runs, pair: Pair) -> dict[str, Any]:
    """Return how far ours is from the official values."""
    theirs, ours = runs.values.get(pair.official), runs.values.get(pair.ours)
    if theirs is None or ours is None:
        return {}
    if isinstance(theirs, str):
        return {"values": 1, "differing": int(theirs != ours), "within": "equal text" if theirs == ours else "NO"}
    difference = np.abs(np.asarray(theirs) - np.asarray(ours))
    worst = float(difference.max(initial=0.0))
    return {
        "values": len(theirs),
        "differing": int((difference > 0).sum()),
        "largest": f"{worst:.1e}",
        "mean": f"{abs(float(np.mean(theirs)) - float(np.mean(ours))):.1e}",
        "within": "NO" if worst > pair.tolerance else "equal" if worst == 0 else f"{pair.tolerance:g}",
    }


def compare(runs: Runs, pairs: list[Pair], data: Corpus) -> Section:
    """Return times, ratios and differences of all pairs."""
    section = Section("metrics", f"{len(data.predictions)} predictions, {data.captions} captions with the references")
    columns = ["start", "load", "score", "load + score"]
    rows = {
        name: {c: f"{min(cells[c]):.3f} ({np.median(cells[c]):.3f})" for c in columns}
        for name, cells in runs.seconds.items()
    }
    times = Table(
        "CPU seconds, the least (the median); start is the interpreter's, load imports and data", columns, rows
    )
    checks = Table(
        "difference to the official values",
        ["values", "differing", "largest", "mean", "within"],
        {pair.metric: parity(runs, pair) for pair in pairs},
    )
    ratios = []
    for pair in pairs:
        column = "load + score" if pair.count_loading else "score"
        ratios.append(faster(pair.metric, runs.seconds, pair.official, pair.ours, column, at_least=pair.at_least or 1))
        wrong = parity(runs, pair).get("within") == "NO"
        known = pair.official in runs.values and pair.ours in runs.values
        ratios.append(
            Target(f"{pair.metric}: values beyond {pair.tolerance:g}", float(wrong) if known else None, at_most=0)
        )
    four = runs.seconds.get("our four", {}).get("load + score")
    if len(data.predictions) <= IMAGES:
        ratios.append(Target("all four from texts, imports included, CPU s", min(four) if four else None, at_most=3))
    section.tables, section.targets, section.failures = [times, checks], ratios, runs.failures
    section.times_ms = {row: {c: [1e3 * s for s in t] for c, t in cells.items()} for row, cells in runs.seconds.items()}
    return section


def command_line(folder: Path, data: Corpus, *, rounds: int) -> Table:
    """Time ``panollava score`` on a file, without and with intervals, interpreter included."""
    path = folder / "captions.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image_path", "original_query", "prediction", "reference"])
        for image, (text, group) in enumerate(zip(data.predictions, data.references, strict=True)):
            writer.writerows([image, "describe", text, reference] for reference in group)
    command = [sys.executable, "-m", "panollava", "score", str(path), "--metrics", "bleu4,meteor,rougeL,cider"]
    rows: dict[str, dict[str, Any]] = {}
    for label, options in (("no intervals", ["--resamples", "0"]), ("1000 resamples", ["--resamples", "1000"])):
        seconds = []
        for _ in range(rounds):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([*command, *options], check=True, capture_output=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        rows[label] = {"CPU s": min(seconds)}
    return Table(f"panollava score on a CSV of {data.captions - len(data.predictions)} rows", ["CPU s"], rows)


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=IMAGES, help="how many (5000)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of every timing (5)")
    parser.add_argument("--captions", type=Path, help="JSON, a list of lists of captions, in place of COCO's")
    parser.add_argument("--quick", action="store_true", help="100 images and one round: does it all still run?")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> None:
    """Measure, print, and write."""
    options = parse(words)
    images, rounds = (100, 1) if options.quick else (options.images, options.rounds)
    groups = json.loads(options.captions.read_text(encoding="utf-8"))[:images] if options.captions else None
    data = corpus(groups if groups is not None else coco_groups(images))
    present = {pair.package for pair in PAIRS if package_folder(pair.package)}
    pairs = [pair for pair in PAIRS if pair.package in present]
    packages = {"numpy", *present}
    print(f"machine: {machine()}\nversions: { {name: version(name) for name in sorted(packages)} }")
    print(f"absent: {sorted({pair.package for pair in PAIRS} - present)}\nload_before: {load_average()}")
    with tempfile.TemporaryDirectory() as name:
        runs = Runs(Path(name), data)
        for _ in range(rounds):
            for pair in pairs:
                runs.run(pair.official)
                runs.run(pair.ours)
            runs.run("our four")
        section = compare(runs, pairs, data)
        if options.quick:
            section.targets = [target for target in section.targets if target.at_most == 0]  # times are for full sizes
        section.tables.append(command_line(Path(name), data, rounds=rounds))
    section.print()
    print(f"\nload_after: {load_average()}")
    if options.json:
        options.json.write_text(json.dumps(section.to_dict(), indent=1) + os.linesep, encoding="utf-8")


if __name__ == "__main__":
    main()
