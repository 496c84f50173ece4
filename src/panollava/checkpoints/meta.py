"""What a checkpoint says about itself (``meta.json``), read without the library that its weights need."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from panollava.checkpoints.manifest import FORMATS, META, Contents, damage, other_format, parse_json

RECORDED = ("panollava", "torch", "transformers", "tokenizers", "peft", "safetensors")
"""Packages whose versions a checkpoint notes."""


@dataclass(frozen=True, slots=True)
class CheckpointMeta:
    """What a checkpoint says about itself.

    Attributes:
        format: Version of this layout.
        stage: Name of the stage that wrote it.
        epoch, step: How far the stage was: complete epochs, optimiser steps.
        blind: Whether it is the text-only baseline.
        components: The components whose weights it holds.
        base: Hash of the weights of every component that it does not hold.
        config: The whole configuration, as a plain tree.
        val_loss: Validation loss, if there was one.
        finished: Whether the stage was complete.
        data: Hash of what it was trained on, if known.
        run: Identity of the run, if it has one.
        views: Its layout in words, as ``views_name`` gives it; ``none`` for a blind model.
        created: When it was written, in UTC (ISO 8601); empty in format 1.
        versions: Versions of the packages that wrote it.
        revisions: Where the pretrained parts came from: ``owner/name@commit`` of the hub, or a folder.
    """

    format: int
    stage: str
    epoch: int
    step: int
    blind: bool
    components: tuple[str, ...]
    base: dict[str, str]
    config: dict[str, Any]
    val_loss: float | None = None
    finished: bool = True
    data: str | None = None
    run: str | None = None
    views: str = ""
    created: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    revisions: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of its run: ``experiment.name``."""
        return str(self.config.get("experiment", {}).get("name", ""))


_KINDS: dict[str, tuple[type, ...]] = {
    "format": (int,), "stage": (str,), "epoch": (int,), "step": (int,), "blind": (bool,), "components": (list,),
    "base": (dict,), "config": (dict,), "val_loss": (float, int, type(None)), "finished": (bool,),
    "data": (str, type(None)), "run": (str, type(None)), "views": (str,), "created": (str,), "versions": (dict,),
    "revisions": (dict,),
}  # fmt: skip


def read_meta(folder: Path) -> CheckpointMeta:
    """Verify every byte of a checkpoint and return what it says about itself.

    Raises:
        CheckpointError: If it is no checkpoint, or is damaged; the message names the file.
    """
    contents = Contents.open(folder)
    contents.check()
    return meta_of(contents)


def peek_meta(folder: Path) -> CheckpointMeta:
    """Return what a checkpoint says about itself; its weights are neither read nor verified.

    Raises:
        CheckpointError: If it is no checkpoint, or manifest or meta.json is damaged.
    """
    return meta_of(Contents.open(folder))


def meta_of(contents: Contents) -> CheckpointMeta:
    """Return what an opened checkpoint says about itself.

    Raises:
        CheckpointError: If meta.json is damaged, or names a component whose weights the manifest does not list.
    """
    folder = contents.folder
    raw = parse_json(contents.read(META), folder=folder, name=META)
    if not isinstance(raw, dict) or "format" not in raw:
        raise damage(folder, META, "says no format")
    if raw["format"] not in FORMATS or raw["format"] != contents.format:
        raise other_format(folder, raw["format"], where=META)
    meta = _checked(raw, folder)
    for name in meta.components:
        if f"{name}.safetensors" not in contents.files:
            raise damage(folder, META, f"names {name}.safetensors, which the manifest does not list")
    return meta


def _checked(raw: dict[str, Any], folder: Path) -> CheckpointMeta:
    defaults = {"views": views_name(raw.get("config"), blind=raw.get("blind") is True)}
    tree = {**defaults, **raw}
    required = [f.name for f in fields(CheckpointMeta)[:8]]
    strange = [key for key in tree if key not in _KINDS] + [key for key in required if key not in tree]
    if strange:
        raise damage(folder, META, f"has keys that are not of its format: {', '.join(sorted(strange)[:5])}")
    for key, value in tree.items():
        whole = isinstance(value, bool) and bool not in _KINDS[key]
        if whole or not isinstance(value, _KINDS[key]):
            raise damage(folder, META, f"holds {str(value)[:80]!r} at {key}")
    for key in ("base", "versions", "revisions"):
        if not all(isinstance(value, str) for value in tree.get(key, {}).values()):
            raise damage(folder, META, f"holds something else than text in {key}")
    if not all(isinstance(name, str) for name in tree["components"]):
        raise damage(folder, META, "holds something else than names in components")
    return CheckpointMeta(**{**tree, "components": tuple(tree["components"])})


def views_name(config: object, *, blind: bool = False) -> str:
    """Return the layout of a configuration in words: its kind, and what tells it from others of the kind.

    Args:
        config: A whole configuration as a plain tree.
        blind: Whether the model has no views.

    Example:
        >>> views = {"kind": "e2p", "hfov_deg": 90.0, "overlap": 0.5, "pitch_deg": 0.0, "global_view": True}
        >>> views_name({"views": views})
        'e2p hfov_deg=90 overlap=0.5 global'
        >>> views_name({"views": {"kind": "cubemap", "poles": False, "size_px": 224}})
        'cubemap poles=no size_px=224'
    """
    views = config.get("views") if isinstance(config, Mapping) else None
    if blind or not isinstance(views, Mapping):
        return "none"
    kind = str(views.get("kind"))
    words = [kind]
    for key in (*_TELLING.get(kind, ()), "size_px"):
        value = views.get(key)
        if value not in (None, _USUAL.get(key)):
            words.append(f"{key}={_word(value)}")
    if views.get("global_view") and kind != "resize":
        size = views.get("global_size_px")
        words.append("global" if size is None else f"global={_word(size)}")
    return " ".join(words)


_TELLING: dict[str, tuple[str, ...]] = {
    "e2p": ("hfov_deg", "overlap", "pitch_deg"),
    "bands": ("hfov_deg", "overlap", "pitches_deg", "poles"),
    "cubemap": ("poles",),
    "tangent": ("tangent", "count"),
    "sliding": ("hfov_deg", "vfov_deg", "overlap", "pitch_deg"),
    "anyres": ("anyres_grid",),
}
_USUAL = {"pitch_deg": 0.0, "poles": True}


def _word(value: object) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(_word, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def now() -> str:
    """Return the time in UTC, to the second (ISO 8601)."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def package_versions() -> dict[str, str]:
    """Return the versions of the packages that a checkpoint notes."""
    found = {}
    for name in RECORDED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
