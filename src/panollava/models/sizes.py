"""How many tokens a panorama costs, before any model is loaded: from the encoder's config, or from the preset table."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch

from panollava.config.presets import list_presets, resolve_model
from panollava.config.schema import PanollavaConfig
from panollava.errors import ModelError
from panollava.geometry import ViewLayout
from panollava.models.build import model_source, resampler_of


@dataclass(frozen=True, slots=True)
class EncoderSizes:
    """Side of an encoder's native picture and of its patches, in pixels."""

    image_px: int
    patch_px: int


def encoder_sizes(model: str) -> EncoderSizes | None:
    """Return the sizes of an encoder: embedded, a folder, or a preset; None for another hub id, which must be fetched.

    Raises:
        ConfigError: A name that is none of these.
        ModelError: A folder without the sizes.

    Example:
        >>> encoder_sizes("embedded"), encoder_sizes("clip_large")
        (EncoderSizes(image_px=96, patch_px=12), EncoderSizes(image_px=224, patch_px=14))
    """
    preset = next((p for p in list_presets("vision") if p.model_id == resolve_model(model, role="vision")), None)
    if preset is not None:
        return EncoderSizes(preset.image_px, preset.patch_px)
    file = Path(model_source(model, role="vision")) / "config.json"
    if file.is_file():
        values = json.loads(file.read_text(encoding="utf-8"))
        values = values.get("vision_config", values)
        try:
            patch_px = int(values["patch_size"])
            return EncoderSizes(int(values["image_size"]) // patch_px * patch_px, patch_px)
        except (KeyError, TypeError) as error:
            raise ModelError(f"{file} states no single image_size and patch_size ({error}).") from error
    return None


def tokens_per_view(cfg: PanollavaConfig, layout: ViewLayout, *, patch_px: int) -> tuple[int, ...]:
    """Return the vision tokens of every view of a layout, as the configured resampler makes them.

    Raises:
        ModelError: A view that does not divide into patches, or patches that do not suit the resampler.

    Example:
        >>> from panollava.geometry import e2p_ring
        >>> sum(tokens_per_view(PanollavaConfig(), e2p_ring(size_px=96), patch_px=12))
        160
    """
    with torch.device("meta"):  # no weight is used, and so any width will do
        resampler = resampler_of(cfg.resampler, width=cfg.resampler.heads, seed=0)
    counts = []
    for view in layout.views:
        if view.height_px % patch_px or view.width_px % patch_px:
            raise ModelError(
                f"view '{view.name}' of {view.height_px} x {view.width_px} pixels does not divide into patches of "
                f"{patch_px}; choose views.size_px and views.global_size_px so that it does"
            )
        counts.append(resampler.token_count(view.height_px // patch_px, view.width_px // patch_px))
    return tuple(counts)
