"""How much memory a model needs, from its architecture alone: for the choice of a model before it is fetched.

::

    inference   weights + keys and values of the context (2 layers kv_heads head_dim tokens)
    training    weights + what trains (weight, gradient, two moments of AdamW, all float32: 16 bytes a parameter)
                + activations that the backward pass reads, per layer and token:
                      LoRA on all linear layers   4.5 h + 4 i + 3 (q + kv) numbers     (6.5 h where norms are doubled)
                      with checkpointing          h numbers, and one layer whole
                + float32 logits of the supervised tokens, twice

h hidden size, i MLP width, q and kv widths of queries and of keys and values. The counts are those of the tensors that
autograd keeps for the decoder layers of transformers; a test counts them on tiny models of every family. Fragmentation,
the CUDA context (about 0.5 GB) and the vision encoder come on top.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Precision = Literal["float32", "bfloat16", "float16", "nf4"]

BYTES: Mapping[str, float] = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "nf4": 0.56}
"""Bytes of a frozen weight; nf4 with its double-quantised scales (Dettmers et al. 2023, section 3)."""

_TRAINED_BYTES = 16
_DOUBLE_NORM = ("gemma2", "gemma3_text")
_QK_NORM = ("qwen3", "gemma3_text", "gemma2")


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes by purpose."""

    weights: float
    trained: float = 0.0
    activations: float = 0.0
    cache: float = 0.0
    logits: float = 0.0

    @property
    def total(self) -> float:
        """All of them together."""
        return self.weights + self.trained + self.activations + self.cache + self.logits


@dataclass(frozen=True, slots=True)
class DecoderShape:
    """What the formulas read of a causal LM's config."""

    layers: int
    hidden: int
    mlp: int
    queries: int
    keys: int
    vocabulary: int
    model_type: str

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "DecoderShape":
        """Read it from a ``config.json``.

        Example:
            >>> from panollava.config.zoo import stored_configs
            >>> DecoderShape.of(stored_configs()["qwen_0.5b"]).keys
            128
        """
        heads = int(config["num_attention_heads"])
        head = int(config.get("head_dim") or config["hidden_size"] // heads)
        return cls(
            layers=int(config["num_hidden_layers"]),
            hidden=int(config["hidden_size"]),
            mlp=int(config["intermediate_size"]),
            queries=heads * head,
            keys=int(config.get("num_key_value_heads") or heads) * head,
            vocabulary=int(config["vocab_size"]),
            model_type=str(config["model_type"]),
        )

    def lora_parameters(self, r: int) -> int:
        """Return the parameters of LoRA of rank ``r`` on every linear layer of the decoder (Hu et al. 2021).

        Example:
            >>> from panollava.config.zoo import stored_configs
            >>> DecoderShape.of(stored_configs()["qwen_0.5b"]).lora_parameters(16)
            8798208
        """
        h, i, q, k = self.hidden, self.mlp, self.queries, self.keys
        shapes = ((h, q), (h, k), (h, k), (q, h), (h, i), (h, i), (i, h))
        return self.layers * r * sum(a + b for a, b in shapes)

    def activation_numbers(self, *, lora: bool = True) -> float:
        """Return how many numbers one layer keeps per token for the backward pass."""
        attention = 3.0 if self.model_type in _QK_NORM else 2.0
        norms = 4.5 if lora else 2.0
        norms += 2.0 if self.model_type in _DOUBLE_NORM else 0.0
        mlp = 4.0 if lora else 3.0
        return norms * self.hidden + mlp * self.mlp + attention * (self.queries + self.keys)


def inference_memory(
    config: Mapping[str, Any], *, parameters: int, precision: Precision, tokens: int, batch: int = 1
) -> Memory:
    """Return what answering needs: weights, and the keys and values of ``batch`` contexts of ``tokens``."""
    shape = DecoderShape.of(config)
    kept = BYTES["bfloat16"] if precision == "nf4" else BYTES[precision]
    cache = 2.0 * shape.layers * shape.keys * tokens * batch * kept
    return Memory(weights=parameters * BYTES[precision], cache=cache)


def training_memory(
    config: Mapping[str, Any],
    *,
    parameters: int,
    precision: Precision,
    tokens: int,
    batch: int = 1,
    lora_r: int | None = 16,
    checkpointing: bool = False,
    supervised: int = 64,
) -> Memory:
    """Return what training needs.

    Args:
        config: the architecture.
        parameters: of the whole model.
        precision: of the frozen weights and of the arithmetic; nf4 computes in bfloat16.
        tokens: of one sequence.
        batch: sequences in a batch.
        lora_r: rank of LoRA on all linear layers; None trains every parameter, with float32 master weights.
        checkpointing: keep the input of each layer alone and compute it again.
        supervised: tokens of one sequence with a loss; logits are made for these.

    Example:
        >>> from panollava.config.zoo import stored_configs
        >>> needs = training_memory(stored_configs()["qwen_0.5b"], parameters=494_032_768, precision="bfloat16",
        ...                         tokens=1024)
        >>> round(needs.total / 2**30, 1)
        2.3
    """
    shape = DecoderShape.of(config)
    kept = BYTES["bfloat16"] if precision == "nf4" else BYTES[precision]
    places = kept * tokens * batch
    layer = shape.activation_numbers(lora=lora_r is not None) * places
    activations = layer + shape.layers * shape.hidden * places if checkpointing else layer * shape.layers
    trained = _TRAINED_BYTES * (parameters if lora_r is None else shape.lora_parameters(lora_r))
    masters = lora_r is None and precision == "float32"  # the trained weights themselves are counted once
    weights = 0.0 if masters else parameters * BYTES[precision]
    logits = 2.0 * 4.0 * shape.vocabulary * supervised * batch
    return Memory(weights=weights, trained=trained, activations=activations, logits=logits)
