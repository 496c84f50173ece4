"""metrics.json as typed values: what the report and the terminal tables show.

The file is read once and checked here, so that every table may rely on it. A figure that was not measured is
None; it is never 0.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panollava.errors import DataError
from panollava.evaluation.report_panoramic import PanoramicScores, parse_panoramic
from panollava.geometry.sphere import SECTORS8

FORMAT = 1


@dataclass(frozen=True, slots=True)
class KindScore:
    """Accuracy in 0..1 of one kind of question, over ``count`` questions; ``chance`` is that of a guess."""

    accuracy: float
    count: int
    chance: float | None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class DirectionScore:
    """Where the model looks when asked for one of n directions.

    Attributes:
        labels: The directions in ring order (rising yaw, front first).
        confusion: (n, n + 1) counts: row = truth, column = answer, last column = no single direction named.
        soft: Mean of max(0, 1 - error / 45 degrees), or None.
    """

    labels: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    soft: float | None

    @property
    def recall(self) -> tuple[float | None, ...]:
        """Share of right answers by true direction; None where the direction was never asked for."""
        rows = enumerate(self.confusion)
        return tuple(counts[i] / sum(counts) if sum(counts) else None for i, counts in rows)


@dataclass(frozen=True, slots=True)
class CaptionScore:
    """One text metric; ``value`` is None where it could not run, and ``reason`` says why."""

    name: str
    value: float | None
    implementation: str
    signature: str
    higher_is_better: bool
    reason: str
    note: str
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class ModelScores:
    """All scores of one model: the real one, the one trained without images, or the real one before training.

    Attributes:
        accuracy: Over all questions with a short answer; None where the test has none.
        by_kind: The same by kind of question.
        direction8: Answers to questions for one of eight directions; None where the test has none.
        captions: Text metrics, in the order asked for.
        caption_items: How many texts they are over, or None.
        perplexity: Of the references, over all tokens.
        perplexity_per_text: Mean over texts.
        empty_predictions: How many answers were empty.
        panoramic: How answers turn with the panorama; None where the run was not asked to roll.
        accuracy_interval: Of the accuracy, 95 %, clustered by image; None below ten images and in earlier files.
    """

    accuracy: float | None
    by_kind: Mapping[str, KindScore]
    direction8: DirectionScore | None
    captions: tuple[CaptionScore, ...]
    caption_items: int | None
    perplexity: float | None
    perplexity_per_text: float | None
    empty_predictions: int
    panoramic: PanoramicScores | None = None
    accuracy_interval: tuple[float, float] | None = None

    @property
    def chance(self) -> float | None:
        """Accuracy of guessing over the same questions; None unless every kind has a chance level."""
        total = 0.0
        for score in self.by_kind.values():
            if score.chance is None:
                return None
            total += score.chance * score.count
        return total / self.answered if self.answered else None

    @property
    def answered(self) -> int:
        """How many questions the accuracy is over."""
        return sum(score.count for score in self.by_kind.values())


@dataclass(frozen=True, slots=True)
class RunScores:
    """The content of metrics.json; ``skipped`` questions have an image that cannot be used, and are in no score."""

    experiment: str
    created: str
    checkpoint: str
    panoramas: int
    questions: int
    model: ModelScores
    blind: ModelScores | None
    untrained: ModelScores | None
    seconds: Mapping[str, float]
    peak_memory_mb: float | None
    tokens_per_panorama: int | None
    skipped: int = 0


def read_scores(path: Path) -> RunScores:
    """Read metrics.json.

    Raises:
        DataError: The file is absent, not JSON, of another format, or lacks a key; the message names both.
    """
    return parse_scores(read_json(path), source=str(path))


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        DataError: The file cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror or error}). Evaluate the run again, which writes it."
        ) from error
    except ValueError as error:  # not UTF-8, or not JSON
        raise DataError(f"{path}: not a JSON file ({error}). Evaluate the run again, which writes it.") from error


def parse_scores(content: Any, *, source: str = "metrics.json") -> RunScores:
    """Check the decoded content of metrics.json and give it types.

    Args:
        content: The decoded JSON.
        source: The name of the file, for messages.

    Raises:
        DataError: Another format, a key that is missing, or a value of the wrong kind.
    """
    try:
        if content["format"] != FORMAT:
            raise DataError(
                f"{source}: format {content['format']!r} is unknown; this version reads format {FORMAT}. "
                "Evaluate the run again."
            )
        return _run(content)
    except KeyError as error:
        raise DataError(f"{source}: the key {error} is missing. Evaluate the run again.") from error
    except (TypeError, ValueError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{source}: a value has the wrong kind ({error}). Evaluate the run again.") from error


def _run(content: Any) -> RunScores:
    memory, tokens = content.get("peak_memory_mb"), content.get("tokens_per_panorama")
    return RunScores(
        experiment=str(content["experiment"]),
        created=str(content["created"]),
        checkpoint=str(content["checkpoint"]),
        panoramas=int(content["test"]["panoramas"]),
        questions=int(content["test"]["questions"]),
        model=_model(content["model"]),
        blind=_model(content["blind"]) if content.get("blind") is not None else None,
        untrained=_model(content["untrained"]) if content.get("untrained") is not None else None,
        seconds={str(name): float(value) for name, value in content.get("seconds", {}).items()},
        peak_memory_mb=_number(memory),
        tokens_per_panorama=None if tokens is None else int(tokens),
        skipped=int(content["test"].get("skipped", 0)),
    )


def _model(content: Any) -> ModelScores:
    perplexity = content.get("perplexity") or {}
    kinds = content["by_kind"].items()
    return ModelScores(
        accuracy=_number(content["accuracy"]),
        by_kind={
            str(kind): KindScore(
                float(v["accuracy"]), int(v["count"]), _number(v.get("chance")), _ends(v.get("interval"))
            )
            for kind, v in kinds
        },
        direction8=_directions(content["direction8"]) if content.get("direction8") is not None else None,
        captions=tuple(_caption(str(name), v) for name, v in (content.get("captions") or {}).items()),
        caption_items=None if content.get("caption_items") is None else int(content["caption_items"]),
        perplexity=_number(perplexity.get("corpus")),
        perplexity_per_text=_number(perplexity.get("per_text")),
        empty_predictions=int(content.get("empty_predictions", 0)),
        panoramic=parse_panoramic(content["panoramic"]) if content.get("panoramic") is not None else None,
        accuracy_interval=_ends(content.get("accuracy_interval")),
    )


def _directions(content: Any) -> DirectionScore:
    """Return the confusion in ring order, whatever the order of the file."""
    labels = [str(label) for label in content["labels"]]
    counts = [[int(cell) for cell in row] for row in content["confusion"]]
    n = len(labels)
    if len(counts) != n or any(len(row) != n + 1 for row in counts):
        raise ValueError(f"direction8.confusion must be {n} x {n + 1}, truth x (answers, then 'other'), for {n} labels")
    ring = [labels.index(label) for label in SECTORS8] if set(labels) == set(SECTORS8) else list(range(n))
    return DirectionScore(
        labels=tuple(labels[i] for i in ring),
        confusion=tuple(tuple(counts[i][j] for j in [*ring, n]) for i in ring),
        soft=_number(content.get("soft")),
    )


def _caption(name: str, content: Any) -> CaptionScore:
    return CaptionScore(
        name=name,
        value=_number(content["value"]),
        implementation=str(content.get("implementation") or ""),
        signature=str(content.get("signature") or ""),
        higher_is_better=bool(content.get("higher_is_better", True)),
        reason=str(content.get("reason") or ""),
        note=str(content.get("note") or ""),
        interval=_ends(content.get("interval")),
    )


def _ends(content: Any) -> tuple[float, float] | None:
    return None if content is None else (float(content["low"]), float(content["high"]))


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
