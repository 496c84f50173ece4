"""The adapter of the language model: LoRA, rsLoRA, DoRA, on a whole or a quantised base; export and merge.

::

    LoRA    W x + (alpha / r) B A x            Hu et al. 2021                  A random, B zero: starts as nothing
    rsLoRA  W x + (alpha / sqrt(r)) B A x      Kalajdzievski 2023              keeps its scale when the rank grows
    DoRA    m (W + B A) / ||W + B A|| x        Liu et al. 2024                 a magnitude m per output, and a direction
    QLoRA   any of them over 4-bit W           Dettmers et al. 2023            models.quantize

Modules to save are trained whole, as a copy beside the frozen original; they belong to the adapter.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from panollava.errors import ModelError
from panollava.models.language import LanguageModel

LORA_MARK, SAVED_MARK = "lora_", ".modules_to_save."
_NAME = "default"


def is_adapter(name: str) -> bool:
    """Return whether a parameter of the language model belongs to the adapter.

    Example:
        >>> is_adapter("model.layers.0.q_proj.lora_A.default.weight"), is_adapter("model.norm.weight")
        (True, False)
    """
    return LORA_MARK in name or SAVED_MARK in name


def plain_name(name: str) -> str:
    """Return the name that a base parameter has without an adapter around it.

    Example:
        >>> plain_name("model.q_proj.base_layer.weight")
        'model.q_proj.weight'
    """
    return name.replace(".base_layer.", ".").replace(".original_module.", ".")


def add_lora(
    language: LanguageModel,
    *,
    r: int,
    alpha: float,
    dropout: float,
    target_modules: str | Sequence[str] = "auto",
    dora: bool = False,
    rslora: bool = False,
    modules_to_save: Sequence[str] = (),
) -> int:
    """Put LoRA matrices beside the LM's linear layers, in place; return the number of adapter parameters.

    ``auto`` adapts every linear layer of the decoder except the output head (PEFT's ``all-linear``). What trains is
    float32, whatever the type of the frozen weights.

    Args:
        language: The language model.
        r: Rank.
        alpha: Scale: updates are multiplied by alpha / r (rsLoRA: alpha / sqrt(r)).
        dropout: Dropout on the adapter's input.
        target_modules: Last parts of the names of the layers to adapt, or ``auto``.
        dora: Decompose weights into magnitude and direction (DoRA).
        rslora: Scale by the square root of the rank (rsLoRA).
        modules_to_save: Last parts of the names of modules to train whole.

    Raises:
        ModelError: If no module matches, or the LM has an adapter already.
    """
    from peft import LoraConfig, inject_adapter_in_model
    from peft.utils.other import set_additional_trainable_modules

    if any(is_adapter(name) for name, _ in language.named_parameters()):
        raise ModelError("the language model has a LoRA adapter already; build it anew to change rank or targets")
    _check_saved(language, modules_to_save)
    targets = _targets(language, target_modules, without=modules_to_save)
    config = LoraConfig(
        r=r,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=targets,
        bias="none",
        use_dora=dora,
        use_rslora=rslora,
        modules_to_save=list(modules_to_save) or None,
        task_type="CAUSAL_LM",
    )
    try:
        inject_adapter_in_model(config, language.model, adapter_name=_NAME)
    except ValueError as error:
        raise ModelError(f"LoRA found no module named {targets} in the language model: {error}") from error
    set_additional_trainable_modules(language.model, config, None, _NAME)
    _train_in_float32(language)
    return sum(p.numel() for name, p in language.named_parameters() if is_adapter(name))


def export_adapter(language: LanguageModel, folder: Path, *, base: str) -> Path:
    """Write the adapter alone as PEFT writes it; ``PeftModel.from_pretrained(base model, folder)`` reads it.

    Args:
        language: A language model with an adapter.
        folder: Folder to write ``adapter_config.json`` and ``adapter_model.safetensors`` to.
        base: Folder or hub id of the base model, to be named in the config.

    Raises:
        ModelError: If there is no adapter.
    """
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    config = copy.deepcopy(_config(language))
    config.base_model_name_or_path, config.inference_mode = base, True
    state = get_peft_model_state_dict(language.model, adapter_name=_NAME, save_embedding_layers=False)
    folder.mkdir(parents=True, exist_ok=True)
    named = {f"base_model.model.{name}": tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    save_file(named, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(str(folder))
    return folder


def merged(language: LanguageModel) -> Any:
    """Return a copy of the Hugging Face model with the adapter added to its weights.

    The sum is rounded to the base's type: logits agree with those of the adapter to 1e-4 in float32, and to a few
    hundredths of their spread in bfloat16 (tests/unit/models/test_adapter.py).

    Raises:
        ModelError: If there is no adapter, or the base is quantised.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils import ModulesToSaveWrapper

    _config(language)
    if getattr(language.model, "is_loaded_in_4bit", False) or getattr(language.model, "is_loaded_in_8bit", False):
        raise ModelError(
            "an adapter on a quantised base cannot be merged without loss; export it (panollava adapter export) and "
            "load it with PEFT on the whole base"
        )
    model = copy.deepcopy(language.model)
    for name, module in list(model.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge(safe_merge=True)
            _replace(model, name, module.get_base_layer())
        elif isinstance(module, ModulesToSaveWrapper):
            kept = module.modules_to_save[_NAME]
            kept._forward_pre_hooks.clear()
            kept._forward_hooks.clear()
            _replace(model, name, kept.to(next(module.original_module.parameters()).dtype))
    del model.peft_config
    head, words = model.get_output_embeddings(), model.get_input_embeddings()
    if model.config.tie_word_embeddings and head.weight is not words.weight:  # one of the two was trained whole
        model.config.tie_word_embeddings = False
    return model.requires_grad_(False)


def _targets(language: LanguageModel, wanted: str | Sequence[str], *, without: Sequence[str]) -> list[str]:
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    if names != ["auto"]:
        return names
    head = language.model.get_output_embeddings()
    linear = {
        name.rsplit(".", 1)[-1]
        for name, module in language.model.named_modules()
        if isinstance(module, nn.Linear) and module is not head
    }
    return sorted(linear - set(without))


def _check_saved(language: LanguageModel, wanted: Sequence[str]) -> None:
    ends = {name.rsplit(".", 1)[-1] for name, _ in language.model.named_modules()}
    for name in wanted:
        if name not in ends:
            raise ModelError(
                f"lora.modules_to_save names '{name}', and the language model has no such module; "
                f"it has, among others, {', '.join(sorted(e for e in ends if e and not e.isdigit())[:12])}"
            )


def _config(language: LanguageModel) -> Any:
    if not any(is_adapter(name) for name, _ in language.named_parameters()):
        raise ModelError("the language model has no adapter; train a stage with the component adapter first")
    return language.model.peft_config[_NAME]


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    above, _, last = name.rpartition(".")
    setattr(model.get_submodule(above), last, module)


def _train_in_float32(language: LanguageModel) -> None:
    """Make float32 of what PEFT made in the base's type: steps of 1e-4 vanish in half precision."""
    from peft.utils import ModulesToSaveWrapper

    for name, parameter in language.named_parameters():
        if is_adapter(name):
            parameter.data = parameter.data.float()
    if language.dtype == torch.float32:
        return
    for module in list(language.modules()):
        if isinstance(module, ModulesToSaveWrapper):  # LoRA layers cast by themselves, a plain module does not
            kept, dtype = module.modules_to_save[_NAME], next(module.original_module.parameters()).dtype
            kept.register_forward_pre_hook(_to_float32)
            kept.register_forward_hook(_Back(dtype))


def _to_float32(_: nn.Module, inputs: tuple[Shaped[Tensor, "*s"], ...]) -> tuple[Shaped[Tensor, "*s"], ...]:
    return tuple(x.float() if x.is_floating_point() else x for x in inputs)


class _Back:
    """Forward hook that gives an output the base's type; a class, so that a model with it can be copied."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def __call__(self, _: nn.Module, __: Any, output: Tensor) -> Tensor:
        return output.to(self.dtype)
