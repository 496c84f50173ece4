"""SPICE (Anderson, Fernando, Johnson and Gould 2016), by its own program, made to run on today's Java.

The program is ``spice-1.0.jar`` of the package pycocoevalcap (AGPL). It is run in a process of its own, with a limit
of time and memory; none of it is part of this package. What is done differently from pycocoevalcap, and why:

- Java 15 dropped the script engine that the program indents its output with, and the output came out empty. A small
  engine of ours stands in its place (``spice_engine/``); it changes nothing but the indentation.
- The program's cache breaks on Java 16 and on ARM. It is off; scores are remembered in ``spice_cache``.
- Nothing is written among the installed packages, and nothing is downloaded while scoring (``spice_models``).

The value of an item is the F1 of the tuples of its scene graphs, in 0..1; SPICE is the mean over items.
"""

import importlib.util
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from panollava.errors import MetricUnavailable
from panollava.metrics.java import find_java, run_java
from panollava.metrics.spice_cache import load_scores, score_key, store_scores
from panollava.metrics.spice_models import INSTALL, CoreNlp, find_corenlp, sha256_of
from panollava.user_cache import cache_folder

MAIN_CLASS = "edu.anu.spice.SpiceScorer"
ITEMS_PER_PROCESS = 500
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class SpiceSettings:
    """How the program is run.

    Attributes:
        corenlp: folder of the CoreNLP 3.6.0 jars; None: PANOLLAVA_CORENLP, else the installed one.
        memory: the largest Java heap, as Java's -Xmx writes it.
        timeout_s: seconds for 500 items and their references; then the program is stopped.
        threads: captions parsed at once; None: one per processor.
    """

    corenlp: Path | None = None
    memory: str = "4G"
    timeout_s: float = 3600.0
    threads: int | None = None


def spice(
    predictions: Sequence[str], references: Sequence[Sequence[str]], *, settings: SpiceSettings = SpiceSettings()
) -> NDArray[np.float64]:
    """Return SPICE of each item.

    Args:
        predictions: captions; COCO evaluation gives PTB tokens joined by spaces. One without words scores 0.
        references: per item one or more captions; those without words are left out.
        settings: how to run the program.

    Raises:
        MetricUnavailable: Java, the program or CoreNLP is not there, or the program failed; the message has the fix.
    """
    jar, corenlp = _programs(settings)
    programs = [sha256_of(jar), *corenlp.sha256.values()]
    store = cache_folder() / "spice.sqlite"
    groups = [[text for text in group if text.strip()] for group in references]
    keys = [score_key(text, group, programs=programs) for text, group in zip(predictions, groups, strict=True)]
    spoken = [i for i, text in enumerate(predictions) if text.strip() and groups[i]]
    known = load_scores(store, [keys[i] for i in spoken])
    left = list({keys[i]: i for i in spoken if keys[i] not in known}.values())
    for start in range(0, len(left), ITEMS_PER_PROCESS):
        some = left[start : start + ITEMS_PER_PROCESS]
        values = _run([predictions[i] for i in some], [groups[i] for i in some], (jar, corenlp), settings)
        fresh = {keys[i]: value for i, value in zip(some, values, strict=True)}
        store_scores(store, fresh)
        known.update(fresh)
    scores = np.zeros(len(predictions))
    for i in spoken:
        scores[i] = known[keys[i]]
    return scores


def _programs(settings: SpiceSettings) -> tuple[Path, CoreNlp]:
    """Return SPICE's program and CoreNLP, or raise one error that names everything that is missing."""
    problems: dict[str, str] = {}
    java = _found(find_java, "a Java runtime", problems)
    jar = _found(program_jar, "the package pycocoevalcap", problems)
    corenlp = _found(lambda: find_corenlp(settings.corenlp), "Stanford CoreNLP 3.6.0", problems)
    if java is not None and jar is not None and corenlp is not None:
        return jar, corenlp
    if len(problems) == 1:
        raise MetricUnavailable(*problems.values())
    raise MetricUnavailable(
        f"SPICE needs {' and '.join(problems)}. Run ./install_eval_metrics.sh spice, then '{INSTALL}'."
    )


def _found(find: Callable[[], Found], what: str, problems: dict[str, str]) -> Found | None:
    try:
        return find()
    except MetricUnavailable as error:
        problems[what] = str(error)
        return None


def program_jar() -> Path:
    """Return ``spice-1.0.jar`` of the installed package pycocoevalcap, without importing it.

    Raises:
        MetricUnavailable: The package is not installed, or lacks the file.
    """
    spec = importlib.util.find_spec("pycocoevalcap")
    for folder in spec.submodule_search_locations or () if spec else ():
        jar = Path(folder) / "spice" / "spice-1.0.jar"
        if jar.is_file():
            return jar
    raise MetricUnavailable(
        'SPICE needs the package pycocoevalcap, which holds its program. pip install "panollava[spice]" installs it'
        " and a Java runtime; then run 'panollava metrics install spice' once."
    )


def _run(
    captions: list[str], references: list[list[str]], programs: tuple[Path, CoreNlp], settings: SpiceSettings
) -> list[float]:
    """Run the program on some items and return their scores."""
    jar, corenlp = programs
    rows = [
        {"image_id": i, "test": text, "refs": group}
        for i, (text, group) in enumerate(zip(captions, references, strict=True))
    ]
    engine = resources.files(__package__).joinpath("spice_engine", "echo-engine.jar")
    with tempfile.TemporaryDirectory(prefix="panollava-spice-") as folder, resources.as_file(engine) as echo:
        where = Path(folder)
        (where / "in.json").write_text(json.dumps(rows), encoding="ascii")
        path = os.pathsep.join(str(entry.resolve()) for entry in (echo, jar, *corenlp.jars))
        threads = str(settings.threads or os.cpu_count() or 1)
        args = [f"-Xmx{settings.memory}", "-cp", path, MAIN_CLASS, "in.json", "-out", "out.json"]
        args += ["-threads", threads, "-silent"]
        run_java(args, stdin=None, timeout_s=settings.timeout_s, cwd=where, what="SPICE")
        return _read(where / "out.json", len(rows))


def _read(path: Path, count: int) -> list[float]:
    """Return the F1 of each item out of the program's output; raise MetricUnavailable if it is not whole."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8", errors="replace"))
        scores = {int(row["image_id"]): float(row["scores"]["All"]["f"]) for row in rows}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MetricUnavailable(
            f"SPICE ended without a readable result ({error!r}). Check the CoreNLP folder, or give more memory:"
            " PANOLLAVA_SPICE_MEMORY or evaluation.spice.memory."
        ) from error
    if sorted(scores) != list(range(count)):
        raise MetricUnavailable(f"SPICE was given {count} items and scored {len(scores)}. Report this as a fault.")
    return [scores[i] for i in range(count)]
