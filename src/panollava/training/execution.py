"""How a stage's arithmetic is carried out: compiled, and with activations computed again instead of kept."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from panollava.errors import TrainingError
from panollava.models.attention import PACKED, packed_attention
from panollava.models.vlm import PanoramaVLM


@contextmanager
def execution(model: PanoramaVLM, *, compile: bool, gradient_checkpointing: bool) -> Iterator[None]:
    """Carry out a stage so; afterwards the model is as it was.

    Args:
        model: The model.
        compile: Compile the language model's decoder, for any length of text.
        gradient_checkpointing: Keep the inputs of each block and compute the rest again in the backward pass (Chen et
            al. 2016): the same gradient for less memory and about a third more time.

    Raises:
        TrainingError: If there is no compiler.
    """
    with ExitStack() as stack:
        if gradient_checkpointing:
            stack.enter_context(_recomputed(model))
        if compile:
            stack.enter_context(_compiled(model))
        yield


def compiler() -> str | None:
    """Return the C++ compiler that torch.compile needs on a CPU, or None."""
    return next((found for name in ("g++", "clang++", "c++") if (found := shutil.which(name))), None)


@contextmanager
def _compiled(model: PanoramaVLM) -> Iterator[None]:
    """Compile every block of the decoder, but not what attends to packed conversations: that follows the data."""
    if not torch.cuda.is_available() and compiler() is None:
        raise TrainingError(
            "trainer.compile is true, and there is no C++ compiler (g++ or clang++), which torch.compile needs on a "
            "CPU; install one, or write trainer.compile: false"
        )
    from transformers import AttentionInterface

    blocks = [block for block in _blocks(model) if block in set(model.language.modules())]
    AttentionInterface.register(PACKED, torch.compiler.disable(packed_attention))
    for block in blocks:
        block.compile(dynamic=True)  # in place: no parameter changes its name
    try:
        yield
    finally:
        AttentionInterface.register(PACKED, packed_attention)
        for block in blocks:
            block._compiled_call_impl = None


def recompute_in_training(model: PanoramaVLM) -> None:
    """Let the blocks that are to compute again do so: to be called after modes were set.

    Transformers asks a block for its mode before it checkpoints. A frozen language model is in evaluation mode, so the
    flag of the block itself is set, which nothing else in it reads; its parts, and so their dropout, stay as they are.
    """
    for block in _blocks(model):
        if block.gradient_checkpointing:
            block.training = True


@contextmanager
def _recomputed(model: PanoramaVLM) -> Iterator[None]:
    blocks = _blocks(model)
    if not blocks:
        raise TrainingError(
            "trainer.gradient_checkpointing is true, and no block of this model supports it; write false"
        )
    for block in blocks:
        block.gradient_checkpointing = True
        block._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)
    try:
        yield
    finally:
        for block in blocks:
            block.gradient_checkpointing = False


def _blocks(model: PanoramaVLM) -> list[Any]:
    from transformers.modeling_layers import GradientCheckpointingLayer

    return [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
