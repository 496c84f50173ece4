"""From the data section of a configuration to samples: generated panoramas, or files of the user."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from panollava.config.schema import DataEntry, PanollavaConfig
from panollava.config.stages import EMBEDDED_SOURCE
from panollava.data.bad_images import ImageChecks, Skipped, left_after_skipping
from panollava.data.images import ImageOptions
from panollava.data.manifest import PanoramaSamples, Sample, group_by_image, mix, read_manifest
from panollava.data.skipped import record_skipped
from panollava.errors import DataError

logger = logging.getLogger(__name__)


def synthetic_folder(cfg: PanollavaConfig) -> Path:
    """Return where this configuration's SurroundQA lies; the name tells its recipe."""
    s = cfg.data.synthetic
    name = f"surroundqa-{s.seed}-{s.count}x{s.width}-{s.questions_per_panorama}"
    return Path(cfg.paths.data) / name


def ensure_synthetic(cfg: PanollavaConfig, *, progress: Callable[[int, int], None] | None = None) -> Path | None:
    """Make SurroundQA if any entry asks for it and it is not there; return its folder, or None."""
    entries = [*cfg.data.train, *cfg.data.val, *cfg.data.test]
    entries += [entry for stage in cfg.stages for entry in stage.data or ()]
    if not any(entry.source == EMBEDDED_SOURCE for entry in entries):
        return None
    from panollava.data.synthetic.write import synthesize

    s = cfg.data.synthetic
    folder = synthetic_folder(cfg)
    synthesize(
        folder,
        count=s.count,
        seed=s.seed,
        width=s.width,
        questions_per_panorama=s.questions_per_panorama,
        progress=progress,
    )
    return folder


def read_entry(entry: DataEntry, cfg: PanollavaConfig, *, split: str, require_answer: bool = True) -> list[Sample]:
    """Return the samples of one entry; where bad images are skipped, those without an image file, too.

    Raises:
        DataError: If a file is unusable, or no sample is of the wanted kinds.
    """
    return _of_kinds(entry, cfg, _read(entry, cfg, split=split, require_answer=require_answer), split=split)


def training_panoramas(entries: Sequence[DataEntry], cfg: PanollavaConfig, *, split: str) -> list[PanoramaSamples]:
    """Return the panoramas of several entries, mixed by weight, each with its questions.

    With ``data.on_bad_image: skip`` panoramas whose image cannot be used are left out, and listed in ``skipped.json``
    of the run: all rows of theirs, whatever kinds of questions are wanted.

    Raises:
        DataError: If an entry is unusable, or too many of its images are.
    """
    if not entries:
        return []
    whole = [_read(entry, cfg, split=split) for entry in entries]
    sound, skipped = _sound(whole, cfg)
    record_skipped(_run_dir(cfg), skipped, split=split, sources=_files(entries, cfg, split=split), known=_known(cfg))
    sources = [_of_kinds(entry, cfg, some, split=split) for entry, some in zip(entries, sound, strict=True)]
    if len(sources) == 1 and entries[0].weight == 1.0:
        return group_by_image(sources[0])
    mixed = mix(sources, weights=[entry.weight for entry in entries], seed=cfg.experiment.seed)
    return group_by_image(mixed)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What is to be scored, and what was left out of it."""

    samples: list[Sample]
    skipped: list[Skipped]
    skipped_questions: int


def held_out(cfg: PanollavaConfig, *, manifest: Path | None = None) -> HeldOut:
    """Return what is to be scored: the first ``max_samples`` of a manifest or of ``data.test``, and what cannot be.

    Raises:
        DataError: If an entry is unusable, or too many of its images are.
    """
    if manifest is not None:
        samples = _manifest(manifest, cfg)
    else:
        samples = [s for entry in cfg.data.test for s in read_entry(entry, cfg, split="test")]
    wanted = samples[: cfg.evaluation.max_samples]
    [sound], skipped = _sound([wanted], cfg)
    return HeldOut(sound, skipped, len(wanted) - len(sound))


def evaluation_samples(cfg: PanollavaConfig, *, manifest: Path | None = None) -> list[Sample]:
    """Return the samples of ``held_out``; what ``data.test`` leaves out is listed in ``skipped.json`` of the run."""
    found = held_out(cfg, manifest=manifest)
    if manifest is None:
        record_held_out(_run_dir(cfg), found, cfg)
    return found.samples


def record_held_out(folder: Path, found: HeldOut, cfg: PanollavaConfig) -> None:
    """List what was left out of a test set in ``skipped.json`` of a folder, beside what training left out there."""
    record_skipped(folder, found.skipped, split="test", sources=None, known=_known(cfg))


def _sound(sources: Sequence[list[Sample]], cfg: PanollavaConfig) -> tuple[list[list[Sample]], list[Skipped]]:
    """Leave out what cannot be used, where the configuration says so."""
    if cfg.data.on_bad_image == "raise":
        return list(sources), []
    options = ImageOptions.from_settings(cfg.data.images, antialias=cfg.views.antialias)
    checks = ImageChecks(Path(cfg.paths.data), options=options)
    return left_after_skipping(sources, checks=checks, max_fraction=cfg.data.max_bad_fraction)


def _read(entry: DataEntry, cfg: PanollavaConfig, *, split: str, require_answer: bool = True) -> list[Sample]:
    path = _file(entry, cfg, split=split)
    embedded = entry.source == EMBEDDED_SOURCE
    if embedded and path.stat().st_size == 0:  # a very small set may have no scene in a split
        return []
    root = Path(entry.image_root) if entry.image_root and not embedded else None
    return _manifest(path, cfg, image_root=root, require_answer=require_answer)


def _manifest(
    path: Path, cfg: PanollavaConfig, *, image_root: Path | None = None, require_answer: bool = True
) -> list[Sample]:
    return read_manifest(
        path,
        image_root=image_root,
        check_images=cfg.data.on_bad_image == "raise",
        require_answer=require_answer,
        follow_links=cfg.data.follow_links,
    )


def _of_kinds(entry: DataEntry, cfg: PanollavaConfig, samples: list[Sample], *, split: str) -> list[Sample]:
    if entry.kinds is None or not samples:
        return samples
    present = {s.kind for s in samples}
    absent = [kind for kind in entry.kinds if kind not in present]
    if absent:
        path = _file(entry, cfg, split=split)
        raise DataError(f"{path} has no question of kind {', '.join(absent)}. Present: {', '.join(sorted(present))}")
    return [s for s in samples if s.kind in entry.kinds]


def _run_dir(cfg: PanollavaConfig) -> Path:
    return Path(cfg.paths.runs) / cfg.experiment.name


def _file(entry: DataEntry, cfg: PanollavaConfig, *, split: str) -> Path:
    return synthetic_folder(cfg) / f"{split}.jsonl" if entry.source == EMBEDDED_SOURCE else Path(entry.source)


def _files(entries: Sequence[DataEntry], cfg: PanollavaConfig, *, split: str) -> set[str]:
    return {str(_file(entry, cfg, split=split)) for entry in entries}


def _known(cfg: PanollavaConfig) -> set[str]:
    """Return every manifest that a run of this configuration reads."""
    data = cfg.data
    train = [*data.train, *(entry for stage in cfg.stages for entry in stage.data or ())]
    parts = {"train": train, "val": data.val, "test": data.test}
    return {file for split, entries in parts.items() for file in _files(entries, cfg, split=split)}
