"""Answers to questions about many panoramas: in parts, resumed where they were, the same whoever asks for them."""

import logging
import os
import time
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from panollava.checkpoints.format import MANIFEST
from panollava.checkpoints.resolve import resolve_checkpoint
from panollava.data.features import FeatureStore
from panollava.data.images import ImageOptions
from panollava.data.manifest import PanoramaSamples, Sample, group_by_image
from panollava.data.prefetch import prefetched
from panollava.data.views import Tensors, stacked
from panollava.errors import DataError
from panollava.evaluation.identity import answers_identity, file_hash, pictures_hash, questions_hash, samples_hash
from panollava.evaluation.journal import Journal
from panollava.evaluation.predict import Answer, Asker
from panollava.evaluation.shard_files import PICTURES, Meta, read_meta, with_run, write_output
from panollava.evaluation.shards import Shard, part_of, questions_about
from panollava.inference.batch_size import BatchSize
from panollava.inference.session import Session
from panollava.training.progress import progress_bar

logger = logging.getLogger(__name__)

LOG_SECONDS = 30.0
"""How often progress is logged where there is no terminal for a bar."""


@dataclass(frozen=True, slots=True)
class PredictionJob:
    """Everything that the answers depend on, as plain values that may be sent to another machine.

    Attributes:
        checkpoint: A checkpoint, or a folder that holds one.
        source: A panorama, a folder of them, or a manifest.
        output: A ``.jsonl`` file; of several shards, each has a name of its own.
        questions: What to ask about every panorama; empty: what the manifest asks.
        image_root: Folder of a manifest's relative paths; None: its own.
        settings: Changes of ``data.images``, ``generation`` and ``evaluation.batch_size``.
        on_bad_image: ``raise``, or ``skip``: list it, with the reason, in a file beside the output.
        logprob: Whether the mean log-likelihood per token of each answer is told.
        device: A torch device; None: CUDA where there is one, that of LOCAL_RANK where it is set.
    """

    checkpoint: str
    source: str
    output: str
    questions: tuple[str, ...] = ()
    image_root: str | None = None
    settings: tuple[str, ...] = ()
    on_bad_image: Literal["raise", "skip"] = "raise"
    logprob: bool = False
    device: str | None = None


def predict(job: PredictionJob, *, shard: Shard = Shard()) -> Meta:  # noqa: B008 - frozen
    """Answer the questions of a shard, or go on with it; return what the output says about itself.

    Where the output is there and whole, and of the same job and the same pictures, nothing is done.

    Raises:
        ConfigError: If a setting is not one that a checkpoint leaves open.
        CheckpointError: If there is no checkpoint, or it is damaged or ambiguous.
        DataError: If there is nothing to ask, an image is unusable, or the output cannot be written.
        OutOfMemory: If memory is too small for one panorama or one question.
    """
    folder = resolve_checkpoint(job.checkpoint)
    root = Path(job.image_root) if job.image_root else None
    asked = questions_about(
        Path(job.source), questions=job.questions, image_root=root, check_images=job.on_bad_image == "raise"
    )
    samples = part_of(asked, shard)
    if not samples:
        logger.info("shard %d/%d has no panorama: there are fewer panoramas than shards", shard.number, shard.count)
    session = Session.load(folder, device=job.device or _device(), settings=job.settings)
    header = answers_identity(
        samples, session.cfg, checkpoint=file_hash(folder / MANIFEST), device=session.model.device
    )
    header |= {"on_bad_image": job.on_bad_image, "logprob": job.logprob, "questions": questions_hash(asked)}
    run = {key: value for key, value in header.items() if key not in ("test", "threads")}
    run[PICTURES] = pictures_hash(asked)
    output = shard.output(Path(job.output))
    done = read_meta(output)
    if done is not None:
        other = done.differences(run, shard=shard, test=lambda parts: _tests(samples, parts))
        if not other:
            logger.info("already done: %s (%d answers, %d panoramas skipped)", output, done.rows, done.skipped)
            return with_run(output, done, run=run)
        logger.info("%s is of another job (%s); it is replaced when all is answered", output, "; ".join(other))
    journal = Journal(output.with_name(f"{output.stem}.partial.jsonl"), header=header)
    with journal:
        rows, skipped = _Prediction(session, job, journal, group_by_image(samples)).run()
    meta = write_output(output, rows, skipped=skipped, run=run, shard=shard, test=[header["test"]])
    journal.remove()
    logger.info("%s: %d answers, %d panoramas skipped", output, meta.rows, meta.skipped)
    return meta


def _tests(samples: Sequence[Sample], parts: int) -> list[str]:
    """Return the hash of the samples of each part: a merged output holds one of each shard."""
    return [samples_hash(part_of(samples, Shard(number, parts))) for number in range(1, parts + 1)]


def _device() -> str | None:
    rank = os.environ.get("LOCAL_RANK")
    return f"cuda:{rank}" if rank is not None and torch.cuda.is_available() else None


@dataclass(slots=True)
class _Batch:
    """Panoramas that were read, with their features; and why others could not be."""

    groups: list[PanoramaSamples]
    features: dict[Path, Tensors] = field(default_factory=dict)
    reasons: dict[Path, str] = field(default_factory=dict)

    def get(self, paths: Sequence[Path]) -> Tensors:
        """Return the features of panoramas."""
        return stacked([self.features[path] for path in paths])


@dataclass(slots=True)
class _Prediction:
    """One shard: reads ahead while the model answers, and keeps answers as they come."""

    session: Session
    job: PredictionJob
    journal: Journal
    groups: list[PanoramaSamples]

    def run(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the rows of the output, and the skipped panoramas."""
        held = {row["image"]: row for row in self.journal.rows}
        if 0 < len(held) < len(self.groups):
            logger.info("going on: %d of %d panoramas were done", len(held), len(self.groups))
        ask = Asker(self.session.model, self.session.cfg, None, weigh="answers" if self.job.logprob else None)
        with _Progress(len(self.groups), done=len(held)) as progress:
            for batch in prefetched(self._batches(held.keys()), ahead=1):
                ask.store = None if self.session.model.blind else batch
                good = [group for group in batch.groups if group.image not in batch.reasons]
                bad = [group for group in batch.groups if group.image in batch.reasons]
                rows = [_skipped(group, batch.reasons[group.image]) for group in bad]
                for part in ask.panoramas.each(good, lambda some: self._answered(ask, some)):
                    rows += part
                self.journal.append(rows)
                held |= {row["image"]: row for row in rows}
                progress.advance(to=len(held))
        ordered = [held[group.samples[0].image_id] for group in self.groups]
        return [line for row in ordered for line in row.get("answers", ())], [
            {"image": row["image"], "reason": row["skipped"]} for row in ordered if "skipped" in row
        ]

    def _batches(self, held: Set[str]) -> Iterator[_Batch]:
        """Yield the batches of which something is not held, the same however far a run was, read and encoded."""
        size, model, cfg = self.session.cfg.evaluation.batch_size, self.session.model, self.session.cfg
        images = ImageOptions.from_settings(cfg.data.images, antialias=cfg.views.antialias)
        device = model.device

        def encode(views: Tensors) -> Tensors:
            return tuple(f.cpu() for f in model.encode(tuple(v.to(device) for v in views)))

        one = BatchSize(1, "panoramas")
        store = FeatureStore(encode=encode, layout=model.layout, folder=None, images=images)

        def features(path: Path) -> Tensors:
            try:
                return tuple(f[0] for f in one.fit(lambda _: store.get([path]), most=1))
            except OSError as error:
                raise DataError(
                    f"{path}: the image cannot be read ({error.strerror or error}). Check the path."
                ) from error

        chunks = [self.groups[start : start + size] for start in range(0, len(self.groups), size)]
        for chunk in [c for c in chunks if not {group.samples[0].image_id for group in c} <= held]:
            batch = _Batch(chunk)
            for group in batch.groups if not model.blind else ():
                try:
                    batch.features[group.image] = features(group.image)
                except DataError as error:
                    if self.job.on_bad_image == "raise":
                        raise
                    batch.reasons[group.image] = str(error)
            yield batch

    def _answered(self, ask: Asker, groups: Sequence[PanoramaSamples]) -> list[dict[str, Any]]:
        """Return a row per panorama, with the lines of its questions."""
        told, logprob = iter(ask(groups)), self.job.logprob
        return [
            {
                "image": group.samples[0].image_id,
                "answers": [
                    _line(sample, one, logprob=logprob) for sample, one in zip(group.samples, told, strict=False)
                ],
            }
            for group in groups
        ]


def _skipped(group: PanoramaSamples, reason: str) -> dict[str, Any]:
    return {"image": group.samples[0].image_id, "skipped": reason}


def _line(sample: Sample, one: Answer, *, logprob: bool) -> dict[str, Any]:
    line = {"image": sample.image_id, "question": sample.query, "answer": one.said, "id": sample.sample_id}
    return {**line, "logprob": round(-one.nll / one.tokens, 4)} if logprob else line


class _Progress:
    """A bar with panoramas, their rate and the time left; where there is no terminal, a line now and then."""

    def __init__(self, total: int, *, done: int) -> None:
        self.total, self.done, self.before = total, done, done
        self.started = self.told = time.monotonic()
        self.bar = progress_bar()
        self.task = self.bar.add_task("predicting", total=total, completed=done, note="")

    def advance(self, *, to: int) -> None:
        """Tell how many panoramas are done."""
        self.done = to
        now = time.monotonic()
        rate = (self.done - self.before) / max(now - self.started, 1e-9)
        self.bar.update(self.task, completed=self.done, note=f"{rate:.2f} panoramas/s")
        if self.bar.disable and now - self.told > LOG_SECONDS:
            self.told = now
            left = (self.total - self.done) / max(rate, 1e-9)
            logger.info("%d of %d panoramas, %.2f/s, %.0f s left", self.done, self.total, rate, left)

    def __enter__(self) -> "_Progress":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()
