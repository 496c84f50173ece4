"""From the data section of a configuration to samples: generated panoramas, or files of the user."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from panollava.config.schema import DataEntry, PanollavaConfig
from panollava.config.stages import EMBEDDED_SOURCE
from panollava.data.manifest import PanoramaSamples, Sample, group_by_image, mix, read_manifest
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
    """Return the samples of one entry.

    Raises:
        DataError: If a file is unusable, or no sample is of the wanted kinds.
    """
    if entry.source == EMBEDDED_SOURCE:
        path, root = synthetic_folder(cfg) / f"{split}.jsonl", None
        if path.stat().st_size == 0:  # a very small set may have no scene in a split
            return []
    else:
        path, root = Path(entry.source), Path(entry.image_root) if entry.image_root else None
    samples = read_manifest(path, image_root=root, require_answer=require_answer)
    if entry.kinds is None:
        return samples
    present = {s.kind for s in samples}
    absent = [kind for kind in entry.kinds if kind not in present]
    if absent:
        raise DataError(f"{path} has no question of kind {', '.join(absent)}. Present: {', '.join(sorted(present))}")
    return [s for s in samples if s.kind in entry.kinds]


def training_panoramas(entries: Sequence[DataEntry], cfg: PanollavaConfig, *, split: str) -> list[PanoramaSamples]:
    """Return the panoramas of several entries, mixed by weight, each with its questions.

    Raises:
        DataError: If an entry is unusable.
    """
    if not entries:
        return []
    sources = [read_entry(entry, cfg, split=split) for entry in entries]
    if len(sources) == 1 and entries[0].weight == 1.0:
        return group_by_image(sources[0])
    mixed = mix(sources, weights=[entry.weight for entry in entries], seed=cfg.experiment.seed)
    return group_by_image(mixed)


def evaluation_samples(cfg: PanollavaConfig, *, manifest: Path | None = None) -> list[Sample]:
    """Return the samples to be scored: those of a manifest, or of ``data.test``, cut to ``max_samples``."""
    if manifest is not None:
        samples = read_manifest(manifest)
    else:
        samples = [s for entry in cfg.data.test for s in read_entry(entry, cfg, split="test")]
    return samples[: cfg.evaluation.max_samples]
