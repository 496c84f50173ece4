"""From what a configuration writes for a model to what is loaded."""

from pathlib import Path

from panollava.config.zoo import PRESETS, ModelPreset, Role
from panollava.errors import ConfigError, unknown_name

EMBEDDED = "embedded"
"""The tiny pretrained encoder and language model that ship with the package."""


def list_presets(role: Role | None = None) -> tuple[ModelPreset, ...]:
    """Return the table, or the rows of one role.

    Example:
        >>> [preset.name for preset in list_presets("vision")][:2]
        ['siglip_base', 'siglip_large']
    """
    return tuple(preset for preset in PRESETS if role in (None, preset.role))


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
        if model in (preset.name, preset.model_id):
            return preset.model_id
    if "/" in model or Path(model).is_dir():
        return model
    names = [EMBEDDED, *(preset.name for preset in list_presets(role))]
    raise ConfigError(
        f"{role}.model: {unknown_name('preset', model, names)} "
        "A Hugging Face id (owner/name) or a local folder works too."
    )
