"""Short names for well-known models.

A preset is only a name for a Hugging Face id: any other id, or a local folder, works as well.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from panollava.errors import ConfigError, unknown_name

EMBEDDED = "embedded"
"""The tiny pretrained encoder and language model that ship with the package."""

Role = Literal["vision", "language"]


@dataclass(frozen=True, slots=True)
class ModelPreset:
    """One row of the table: a name, what it stands for, and how large it is."""

    name: str
    role: Role
    model_id: str
    parameters_m: int
    """Millions of parameters that are loaded (of an encoder: its vision tower)."""
    width: int
    """Hidden size."""
    family: str
    gated: bool = False
    """True: the hub asks for a login and an accepted licence."""
    image_px: int = 0
    """Of an encoder: side of its native picture."""
    patch_px: int = 0
    """Of an encoder: side of a patch."""


_TABLE = (
    ModelPreset(
        "siglip_base", "vision", "google/siglip-base-patch16-224", 93, 768, "SigLIP", image_px=224, patch_px=16
    ),
    ModelPreset(
        "siglip_large", "vision", "google/siglip-large-patch16-256", 316, 1024, "SigLIP", image_px=256, patch_px=16
    ),
    ModelPreset("clip_base", "vision", "openai/clip-vit-base-patch16", 86, 768, "CLIP", image_px=224, patch_px=16),
    ModelPreset("clip_large", "vision", "openai/clip-vit-large-patch14", 303, 1024, "CLIP", image_px=224, patch_px=14),
    ModelPreset("dinov2_base", "vision", "facebook/dinov2-base", 86, 768, "DINOv2", image_px=518, patch_px=14),
    ModelPreset("dinov2_large", "vision", "facebook/dinov2-large", 304, 1024, "DINOv2", image_px=518, patch_px=14),
    ModelPreset("qwen_0.5b", "language", "Qwen/Qwen2.5-0.5B-Instruct", 494, 896, "Qwen2.5"),
    ModelPreset("qwen_1.5b", "language", "Qwen/Qwen2.5-1.5B-Instruct", 1544, 1536, "Qwen2.5"),
    ModelPreset("qwen_3b", "language", "Qwen/Qwen2.5-3B-Instruct", 3086, 2048, "Qwen2.5"),
    ModelPreset("qwen_7b", "language", "Qwen/Qwen2.5-7B-Instruct", 7616, 3584, "Qwen2.5"),
    ModelPreset("qwen_14b", "language", "Qwen/Qwen2.5-14B-Instruct", 14770, 5120, "Qwen2.5"),
    ModelPreset("llama_1b", "language", "meta-llama/Llama-3.2-1B-Instruct", 1236, 2048, "Llama 3.2", gated=True),
    ModelPreset("llama_3b", "language", "meta-llama/Llama-3.2-3B-Instruct", 3213, 3072, "Llama 3.2", gated=True),
    ModelPreset("gemma_2b", "language", "google/gemma-2-2b-it", 2614, 2304, "Gemma 2", gated=True),
    ModelPreset("gemma_9b", "language", "google/gemma-2-9b-it", 9242, 3584, "Gemma 2", gated=True),
)


def list_presets(role: Role | None = None) -> tuple[ModelPreset, ...]:
    """Return the table, or the rows of one role.

    Example:
        >>> [preset.name for preset in list_presets("vision")][:2]
        ['siglip_base', 'siglip_large']
    """
    return tuple(preset for preset in _TABLE if role in (None, preset.role))


def resolve_model(model: str, *, role: Role) -> str:
    """Return the Hugging Face id or folder that a ``model`` setting stands for.

    Args:
        model: a preset name, a Hugging Face id (``owner/name``), a local folder, or ``embedded``.
        role: which table to look in.

    Returns:
        The id or folder; ``embedded`` stays ``embedded``.

    Raises:
        ConfigError: if it is none of these.

    Example:
        >>> resolve_model("qwen_0.5b", role="language")
        'Qwen/Qwen2.5-0.5B-Instruct'
    """
    if model == EMBEDDED:
        return EMBEDDED
    for preset in list_presets(role):
        if preset.name == model:
            return preset.model_id
    if "/" in model or Path(model).is_dir():
        return model
    names = [EMBEDDED, *(preset.name for preset in list_presets(role))]
    raise ConfigError(
        f"{role}.model: {unknown_name('preset', model, names)} "
        "A Hugging Face id (owner/name) or a local folder works too."
    )
