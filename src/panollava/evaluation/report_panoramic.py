"""The report's section on rolled panoramas; what its columns mean, `evaluation.panoramic` defines."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from panollava.evaluation.report_html import Html, section, table, tag
from panollava.evaluation.report_text import NOT_MEASURED, count, counted, percent, points

TITLE = "When the panorama is rolled"


@dataclass(frozen=True, slots=True)
class RollScore:
    """Scores over some questions: shares in 0..1, kappa and gap in -1..1; None where nothing was measured."""

    questions: int
    yra: float | None
    yra_min: float | None
    gap: float | None
    yrc: float | None
    kappa: float | None
    mir: float | None


@dataclass(frozen=True, slots=True)
class PanoramicScores:
    """The same questions about panoramas rolled to ``rolls`` poses, and mirrored; in all and by kind."""

    rolls: int
    skipped: int
    total: RollScore
    by_kind: Mapping[str, RollScore]


def parse_panoramic(content: Any) -> PanoramicScores:
    """Return the entry ``panoramic`` of metrics.json with types; what is wrong, the caller tells with the file."""
    kinds = content["by_kind"].items()
    return PanoramicScores(
        rolls=int(content["rolls"]),
        skipped=int(content["skipped"]),
        total=_score(content["all"]),
        by_kind={str(kind): _score(value) for kind, value in kinds},
    )


def rolls(scores: PanoramicScores) -> Html:
    """Return the table of accuracy and agreement under rolls and a mirroring."""
    headers = ["Kind of question", "YRA", "YRA-min", "YR-gap (points)", "YRC", "kappa", "MIR", "Questions"]
    rows = [_row("all questions", scores.total)]
    rows += [_row(kind, score) for kind, score in scores.by_kind.items()]
    meaning = (
        f"Each panorama was rolled to {scores.rolls} poses, whole columns at a time, and mirrored, with questions and "
        "answers carried along. YRA: accuracy over all poses. YRA-min: right in every pose. YR-gap: accuracy in the "
        "pose of the file minus that in the others. YRC: agreement of the answers with each other, carried back; "
        "kappa: the same beyond chance. MIR: agreement under the mirroring."
    )
    left = (
        f"{counted(scores.skipped, 'question')} could not be carried along and took no part." if scores.skipped else ""
    )
    return section(
        "rolls",
        TITLE,
        tag("p", meaning),
        table(headers, rows, caption=TITLE, numeric=range(1, len(headers))),
        *([tag("p", left, attrs={"class": "note"})] if left else []),
    )


def _row(name: str, score: RollScore) -> list[str]:
    kappa = NOT_MEASURED if score.kappa is None else f"{score.kappa:.3f}"
    shares = [percent(score.yra), percent(score.yra_min), points(score.gap), percent(score.yrc)]
    return [name, *shares, kappa, percent(score.mir), count(score.questions)]


def _score(content: Any) -> RollScore:
    names = ("yra", "yra_min", "gap", "yrc", "kappa", "mir")
    values = [None if content[name] is None else float(content[name]) for name in names]
    return RollScore(int(content["questions"]), *values)
