"""A frozen base in 4 or 8 bits (QLoRA), by bitsandbytes where it is installed."""

from typing import Any, Literal

import torch
from torch import nn

from panollava.errors import ModelError
from panollava.models.language import LanguageModel

Quantization = Literal["nf4", "int8"]


def quantize(language: LanguageModel, *, kind: Quantization) -> int:
    """Replace the decoder's linear layers by quantised ones, in place; return how many.

    The output head and the word embeddings stay as they are. The weights are quantised on the CPU, so that they are
    the same bits wherever the model moves: 4-bit NormalFloat with blocks of 64 and quantised constants (Dettmers et
    al. 2023, QLoRA, section 3), or 8-bit integers (Dettmers et al. 2022).

    Raises:
        ModelError: If bitsandbytes is not installed.
    """
    try:
        import bitsandbytes as bnb
    except ImportError as error:
        raise ModelError(
            f"language.quantization: {kind} needs the package bitsandbytes, and it cannot be imported ({error}); "
            "pip install 'panollava[qlora]', or write language.quantization: null"
        ) from error
    head = language.model.get_output_embeddings()
    linear = [(n, m) for n, m in language.model.named_modules() if isinstance(m, nn.Linear) and m is not head]
    for name, module in linear:
        above, _, last = name.rpartition(".")
        setattr(language.model.get_submodule(above), last, _quantized(bnb, module, kind=kind))
    # PEFT asks for these to choose its layers
    language.model.is_loaded_in_4bit, language.model.is_loaded_in_8bit = kind == "nf4", kind == "int8"
    return len(linear)


def _quantized(bnb: Any, module: nn.Linear, *, kind: Quantization) -> nn.Module:
    shape, weight = (module.in_features, module.out_features), module.weight.data
    bias = module.bias is not None
    if kind == "nf4":
        made = bnb.nn.Linear4bit(*shape, bias=bias, compute_dtype=weight.dtype, quant_type="nf4")
        # else the first answer on some CPUs packs the weights anew, so that a model's hash would depend on its past
        made.support_avx512bf16_for_cpu = False
        made.weight = bnb.nn.Params4bit(weight, requires_grad=False, quant_type="nf4", compress_statistics=True)
    else:
        made = bnb.nn.Linear8bitLt(*shape, bias=bias, has_fp16_weights=False)
        made.weight = bnb.nn.Int8Params(weight, requires_grad=False, has_fp16_weights=False)
    if bias:
        made.bias = nn.Parameter(module.bias.data, requires_grad=False)
    quantized: nn.Module = made.to(torch.device("cpu"))
    return quantized.requires_grad_(False)
