"""What others can load of a checkpoint: the adapter as PEFT has it, or the language model with the adapter merged.

The vision path is in neither: these are for tools that know language models only.
"""

from pathlib import Path

from panollava.checkpoints.format import load_checkpoint
from panollava.checkpoints.resolve import resolve_checkpoint
from panollava.errors import CheckpointError
from panollava.models.adapter import export_adapter, merged
from panollava.models.build import model_source
from panollava.models.language import tokenizer_source


def export_checkpoint_adapter(checkpoint: str | Path, folder: Path) -> Path:
    """Write the adapter of a checkpoint to ``folder``, which ``PeftModel.from_pretrained(base, folder)`` reads.

    Raises:
        CheckpointError: If the folder has something in it, or the checkpoint cannot be loaded.
        ModelError: If it has no adapter.
    """
    _empty(folder)
    model, meta = load_checkpoint(resolve_checkpoint(checkpoint))
    base = model_source(str(meta.config["language"]["model"]), role="language")
    return export_adapter(model.language, folder, base=base)


def export_merged_language(checkpoint: str | Path, folder: Path) -> Path:
    """Write the language model of a checkpoint, adapter merged, with its tokenizer, as a Hugging Face folder.

    Raises:
        CheckpointError: If the folder has something in it, or the checkpoint cannot be loaded.
        ModelError: If it has no adapter, or its base is quantised.
    """
    _empty(folder)
    model, meta = load_checkpoint(resolve_checkpoint(checkpoint))
    merged(model.language).save_pretrained(folder)
    model.chat.tokenizer.save_pretrained(folder)
    base = model_source(str(meta.config["language"]["model"]), role="language")
    if tokenizer_source(base) != base:  # a tokenizer that must not lie beside the config.json of its model
        model.chat.tokenizer.save_pretrained(folder / "tokenizer")
    return folder


def _empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CheckpointError(f"{folder} exists and is not an empty folder; give another, or remove it first")
