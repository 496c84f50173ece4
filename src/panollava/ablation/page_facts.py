"""The page's last sections: runs that did not finish, reports of the others, environment and hashes."""

import json
import platform
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from panollava import __version__
from panollava.ablation.folder import RunRecord
from panollava.ablation.outcome import Outcome
from panollava.ablation.page_table import breakable
from panollava.ablation.runs import StudyRun
from panollava.evaluation.report_html import Html, absent, section, table, tag
from panollava.evaluation.report_text import NOT_MEASURED, duration, percent
from panollava.metrics.signature import package_version

_PACKAGES = ("torch", "transformers", "peft", "numpy")


def failures(outcome: Outcome) -> Html:
    """Return the runs that give no score, with their errors."""
    title = "Runs without a score"
    rows = [
        [breakable(arm), str(run.seed), run.status, tag("code", reason)]
        for arm, runs in outcome.failed.items()
        for run, reason in runs
    ]
    if not rows:
        return section("failed", title, absent("Every run finished."))
    note = "An arm's mean is over the seeds that finished; a difference is over the seeds that both arms have."
    numbers = table(["Arm", "Seed", "Status", "Error"], rows, caption="Runs without a score", numeric=(1,))
    return section("failed", title, numbers, tag("p", note, attrs={"class": "note"}))


def run_facts(outcome: Outcome) -> Html:
    """Return a link to every run's own report, and what the runs share."""
    rows = [_row(arm, run) for arm, seeds in outcome.runs.items() for run in seeds.values()]
    heads = ["Arm", "Seed", "Accuracy", "Blind", "Time", "Report"]
    listed = table(heads, rows, caption="Finished runs", numeric=(1, 2, 3, 4)) if rows else absent("No run finished.")
    facts = [("Panollava", __version__), ("Python", platform.python_version())]
    facts += [(name, package_version(name)) for name in _PACKAGES]
    facts.append(("Machine", f"{platform.system()} {platform.machine()}"))
    every = [run for seeds in outcome.runs.values() for run in seeds.values()]
    facts.append(("Training data", _counted(_hash(run, "data") for run in every)))
    facts.append(("Language model", _counted(_hash(run, "language") for run in every)))
    facts.append(("Questions of the test", _counted(_questions(run) for run in every)))
    shown = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts]
    note = "Versions are those of the program that wrote this page; hashes are those of the runs, shortened."
    return section(
        "runs", "Runs", listed, tag("dl", *shown, attrs={"class": "facts"}), tag("p", note, attrs={"class": "note"})
    )


def _row(arm: str, run: StudyRun) -> list[str]:
    scores, blind = run.run.scores.model, run.run.scores.blind
    seconds = run.record.seconds
    return [
        breakable(arm),
        str(run.record.seed),
        percent(scores.accuracy),
        percent(blind.accuracy if blind else None),
        NOT_MEASURED if seconds is None else duration(seconds),
        _link(run.record),
    ]


def _link(record: RunRecord) -> Html:
    if not (record.folder / "report.html").is_file():
        return tag("span", "none", attrs={"class": "note"})
    return tag("a", "report", attrs={"href": quote(f"{record.place}/report.html")})


def _hash(run: StudyRun, what: str) -> str | None:
    """Return a hash that the run's checkpoint holds: of its training data, or of a base model; None without one."""
    path = Path(run.run.scores.checkpoint) / "meta.json"
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # the checkpoint was moved or pruned: the page says "not recorded"
    held = meta.get("data") if what == "data" else (meta.get("base") or {}).get(what)
    return None if held is None else str(held)[:12]


def _questions(run: StudyRun) -> str | None:
    return next((score.questions for score in run.figures.values() if score.questions), None)


def _counted(values: Iterable[str | None]) -> str:
    """Return the different values with how many runs have each.

    Example:
        >>> _counted(["ab", "ab", None])
        'ab (2 runs), not recorded (1 run)'
    """
    found = Counter(value or "not recorded" for value in values)
    return ", ".join(f"{value} ({n} run{'' if n == 1 else 's'})" for value, n in found.items()) or NOT_MEASURED
