"""The language model: any Hugging Face causal LM, and its tokenizer."""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from panollava.data.pack import PackedText, branch_mask, near_mask
from panollava.errors import ModelError
from panollava.models.attention import PACKED, PackedAttention, register
from panollava.models.attention_kernels import choose_kernel
from panollava.models.hub import Pretrained, pretrained
from panollava.models.remote_code import CodeConsent, code_needed
from panollava.text.chat import IGNORE_INDEX

EAGER_ONLY = ("gemma2",)
"""Architectures whose attention has logit soft-capping, which SDPA cannot express."""


class LanguageModel(nn.Module):
    """A causal LM that reads embeddings, in which vision tokens may stand among word embeddings.

    Args:
        model: A Hugging Face ``...ForCausalLM``.
        attention: Attention kernel of packed conversations, for a model that was loaded with the packed attention.
        files: Where it was loaded from, if it was.

    The logits are computed on supervised rows only; the LM's own loss, which upcasts every row, is not used.
    """

    def __init__(self, model: Any, *, attention: str = "auto", files: Pretrained | None = None) -> None:
        super().__init__()
        self.model, self.attention, self.files = model, attention, files

    @property
    def hidden_size(self) -> int:
        """Width of the word embeddings."""
        return int(self.model.config.hidden_size)

    @property
    def dtype(self) -> torch.dtype:
        """Data type of the word embeddings."""
        weight: Tensor = self.model.get_input_embeddings().weight
        return weight.dtype

    def embed(self, ids: Int[Tensor, "b t"]) -> Float[Tensor, "b t d"]:
        """Return word embeddings; negative ids (placeholders) give the embedding of id 0, to be replaced."""
        embedded: Tensor = self.model.get_input_embeddings()(ids.clamp(min=0))
        return embedded

    @torch.no_grad()
    def embedding_rms(self) -> float:
        """Return the root mean square of a word embedding's entries: the scale that the LM reads."""
        weight = self.model.get_input_embeddings().weight
        ids = torch.arange(min(len(weight), 4096), device=weight.device)[None]
        return float(self.embed(ids).float().pow(2).mean().sqrt())

    def supervised_logits(
        self, embeddings: Float[Tensor, "b t d"], text: PackedText
    ) -> tuple[Float[Tensor, "n vocab"], Int[Tensor, " n"]]:
        """Return the float32 logits that predict each supervised label, and the labels.

        A label at place t is predicted from place t - 1. Places are taken batch-major, left to right.
        """
        hidden = self.hidden_states(embeddings, text)
        wanted = text.labels[:, 1:] != IGNORE_INDEX
        return self.head(hidden[:, :-1][wanted]), text.labels[:, 1:][wanted]

    def hidden_states(self, embeddings: Float[Tensor, "b t d"], text: PackedText) -> Float[Tensor, "b t d"]:
        """Return the last hidden states of packed conversations, branches isolated; zeros where there is padding."""
        if self.model.config._attn_implementation != PACKED or not PackedAttention.fits(text):
            hidden: Tensor = self.model.base_model(
                inputs_embeds=embeddings,
                attention_mask=self._dense_mask(embeddings, text),
                position_ids=text.positions,
                use_cache=False,
            ).last_hidden_state
            return hidden
        packed = PackedAttention(text, kernel=self.kernel(embeddings.device, dtype=embeddings.dtype))
        stream = embeddings.flatten(0, 1)[packed.order][None]
        read = self.model.base_model(
            inputs_embeds=stream,
            attention_mask=stream.new_zeros(1, 1, 1, 1),  # unread; without one a dense mask would be made
            position_ids=packed.positions[None],
            use_cache=False,
            packed=packed,
        ).last_hidden_state[0]
        whole = read.new_zeros(embeddings.shape[0] * embeddings.shape[1], read.shape[-1])
        return whole.index_copy(0, packed.order, read).view(*embeddings.shape[:2], -1)

    def kernel(self, device: torch.device, *, dtype: torch.dtype) -> str:
        """Return the attention kernel that packed conversations get on a device, mixed precision considered.

        Raises:
            ModelError: If the kernel of the configuration cannot run there.
        """
        if self.model.config._attn_implementation != PACKED:
            return "eager"
        mixed = torch.is_autocast_enabled(device.type)
        seen = torch.get_autocast_dtype(device.type) if mixed else dtype
        return choose_kernel(self.attention, device=device.type, dtype=seen)

    def _dense_mask(self, embeddings: Tensor, text: PackedText) -> Tensor | dict[str, Tensor]:
        """Return the branch mask, and that of sliding layers, which see only what is near, where there are some."""
        allowed, config = branch_mask(text.segments), self.model.config
        mask = additive(allowed, dtype=embeddings.dtype)
        if "sliding_attention" not in (getattr(config, "layer_types", None) or ()):  # not every architecture has them
            return mask
        near = allowed & near_mask(text.positions, window=config.sliding_window)
        return {"full_attention": mask, "sliding_attention": additive(near, dtype=embeddings.dtype)}

    def head(self, hidden: Float[Tensor, "n d"]) -> Float[Tensor, "n vocab"]:
        """Return float32 logits of hidden states, capped where the architecture caps them."""
        logits = self.model.get_output_embeddings()(hidden).float()
        softcap = getattr(self.model.config, "final_logit_softcapping", None)  # Gemma 2 caps its logits
        return logits if softcap is None else softcap * torch.tanh(logits / softcap)


def additive(allowed: Bool[Tensor, "b 1 t t"], *, dtype: torch.dtype) -> Float[Tensor, "b 1 t t"]:
    """Return a mask to be added to attention scores: 0 where allowed, the type's lowest value elsewhere.

    The float form is read alike by eager attention and by SDPA.
    """
    floor = torch.finfo(dtype).min
    return torch.zeros(allowed.shape, dtype=dtype, device=allowed.device).masked_fill(~allowed, floor)


def load_language(
    path: str | Path,
    *,
    dtype: torch.dtype,
    attention: str = "auto",
    revision: str | None = None,
    consent: CodeConsent | None = None,
) -> tuple[LanguageModel, Any]:
    """Load a causal LM and its tokenizer from a folder or a hub id.

    Args:
        path: Folder or hub id.
        dtype: Data type of the weights; trained parts should be float32.
        attention: A kernel of ``attention_kernels.CHOICES``; ``auto``: the fastest that device and architecture can.
        revision: Hub revision.
        consent: Whether Python files of the model may be run; None: no.

    Raises:
        HubError: If neither hub nor cache give it.
        ModelError: If it cannot be loaded, or is not a causal LM.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    files = pretrained(path, key="language.model", revision=revision, consent=consent or CodeConsent())
    options = {"trust_remote_code": files.code, "local_files_only": True}
    try:
        config = AutoConfig.from_pretrained(files.folder, **options)
        kind = choose_attention(config.model_type, attention)
        register()
        name = kind if kind == "eager" else PACKED
        model = AutoModelForCausalLM.from_pretrained(
            files.folder, dtype=dtype, attn_implementation=name, use_safetensors=True, **options
        )
        tokenizer = AutoTokenizer.from_pretrained(tokenizer_source(files.folder), **options)
    except (OSError, ValueError, KeyError, TypeError) as error:
        needs = code_needed(files.folder, files.name, key="language.model")
        raise ModelError(
            f"the language model '{path}' cannot be loaded: {needs or error}. "
            "Give language.model a folder with config.json and safetensors, a hub id, or a preset name."
        ) from error
    # A repetition penalty or a sampling rule that ships with the model would change answers behind the configuration.
    model.generation_config = GenerationConfig()
    model.config._name_or_path = files.name  # else exports would name a folder of this machine's cache
    return LanguageModel(model, attention=attention, files=files), tokenizer


def tokenizer_source(path: str | Path) -> str | Path:
    """Return where the tokenizer lies: the folder ``tokenizer`` below a local model, or the model itself.

    A tokenizer of its own kind cannot lie beside the ``config.json`` of some architectures (Qwen2 among them):
    ``AutoTokenizer`` then takes the architecture's tokenizer class, whatever ``tokenizer_config.json`` says.
    """
    own = Path(path) / "tokenizer"
    return own if own.is_dir() else path


def choose_attention(model_type: str, wanted: str) -> str:
    """Return the attention implementation for an architecture.

    Raises:
        ModelError: If ``sdpa`` or flash attention is demanded of an architecture that has eager attention only.
    """
    if wanted == "auto":
        return "eager" if model_type in EAGER_ONLY else "sdpa"
    if model_type in EAGER_ONLY and wanted != "eager":
        raise ModelError(f"{model_type} runs with eager attention only, not '{wanted}': set language.attention: auto")
    return wanted
