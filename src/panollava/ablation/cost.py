"""What the runs of a study cost, before anything is loaded: operations, memory and disk from sizes alone.

::

    language stage    tokens x (4 x decoder weights + 2 x weights that train)             Kaplan et al. 2020
                      + what the encoder sees: 2 x its weights x patches, once a panorama where features are kept
    overlap stage     patches x (2 x encoder weights + 4 x those of its blocks that train)
    memory            config/memory.py for the longest conversation of the largest language stage, + the encoder
    disk              the checkpoint of each stage of each run; features of each encoder that the study makes

Attention's share, the resampler, evaluation and the libraries' own memory come on top. What only a fetched model would
tell is None, never a guess.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panollava.ablation.tokens import questions, stage_tokens, vision_tokens
from panollava.config.memory import BYTES, DecoderShape, Precision, training_memory
from panollava.config.presets import EMBEDDED, list_presets, resolve_model
from panollava.config.schema import PanollavaConfig, StageConfig
from panollava.config.stages import EMBEDDED_SOURCE
from panollava.geometry import build_layout

_ANSWER_SHARE = 1 / 3
"""Share of a question with its answer that is the answer."""
_EMBEDDED_ROOT = Path(__file__).parent.parent / "embedded"


@dataclass(frozen=True, slots=True)
class Network:
    """Sizes of a pretrained network.

    Attributes:
        config: Its ``config.json``.
        parameters: Number of its weights.
    """

    config: Mapping[str, Any]
    parameters: int

    @property
    def words(self) -> int:
        """Weights of its embeddings, and of its head where it has one of its own."""
        tied = bool(self.config.get("tie_word_embeddings", True))
        return int(self.config["vocab_size"]) * int(self.config["hidden_size"]) * (1 if tied else 2)


def network(name: str, *, role: Any) -> Network | None:
    """Return the sizes of a model by its setting: a preset, embedded, or a folder; None for another id of the hub.

    Example:
        >>> network("qwen_0.5b", role="language").parameters
        494032768
        >>> network("someone/unknown", role="language") is None
        True
    """
    resolved = resolve_model(name, role=role)
    preset = next((p for p in list_presets(role) if p.model_id == resolved), None)
    if preset is not None:
        return Network(preset.config, preset.parameters)
    file = (_EMBEDDED_ROOT / role if resolved == EMBEDDED else Path(resolved)) / "config.json"
    if not file.is_file():
        return None
    config = json.loads(file.read_text(encoding="utf-8"))
    held = [_stored(weights) for weights in file.parent.glob("*.safetensors")]
    return Network(config, sum(held) or (_decoder(config) if role == "language" else _encoder(config)))


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the formulas read of one configuration; None where only a fetched model would tell."""

    language: Network | None
    vision: Network | None
    tokens: int | None
    patches: int | None

    @classmethod
    def of(cls, config: PanollavaConfig) -> "Sizes":
        """Look it up."""
        views = vision_tokens(config)
        return cls(
            network(config.language.model, role="language"),
            network(config.vision.model, role="vision"),
            None if views is None else sum(views),
            _patches(config),
        )


def panoramas(config: PanollavaConfig, row: StageConfig) -> int | None:
    """Return at most how many panoramas a stage sees; None for a manifest with epochs, which is not read here."""
    entries = row.data or config.data.train
    steps = None if row.max_steps is None else row.max_steps * row.accumulation * row.batch_size
    if all(entry.source == EMBEDDED_SOURCE for entry in entries):
        whole = config.data.synthetic.count
        return whole if steps is None else min(whole, steps)
    return steps


def stage_flops(config: PanollavaConfig, row: StageConfig, *, text_tokens: int, blind: bool = False) -> float | None:
    """Return the floating point operations of a stage; None where its length or a size is not known.

    Args:
        config: The configuration.
        row: The stage.
        text_tokens: Tokens of a question with its answer.
        blind: Of the text-only baseline.
    """
    sizes = Sizes.of(config)
    seen = None if row.max_steps is None else row.max_steps * row.accumulation * row.batch_size
    if row.objective == "overlap":
        if seen is None or sizes.vision is None or sizes.patches is None:
            return None
        layers = int(sizes.vision.config["num_hidden_layers"])
        share = min(1.0, config.vision.trainable_blocks / layers) if "vision" in row.trains else 0.0
        return seen * sizes.patches * sizes.vision.parameters * (2 + 4 * share)
    read = next(s for s in stage_tokens(config, text_tokens=text_tokens) if s.stage == row.name).total
    if blind and seen is not None:
        asked = questions(config, row)
        read = None if asked is None else float(seen * asked * text_tokens)
    if read is None or sizes.language is None:
        return None
    decoder = sizes.language.parameters - sizes.language.words
    trained = (
        decoder if "language" in row.trains else _adapter(config, sizes.language) if "adapter" in row.trains else 0
    )
    looked = 0.0
    if not blind:
        watched = panoramas(config, row) if config.data.cache_features else seen
        if watched is None or sizes.vision is None or sizes.patches is None:
            return None
        looked = 2.0 * watched * sizes.patches * sizes.vision.parameters
    return read * (4 * decoder + 2 * trained) + looked


def peak_memory(config: PanollavaConfig, *, text_tokens: int) -> float | None:
    """Return the bytes of weights, states and activations of the largest language stage; None where not known."""
    sizes = Sizes.of(config)
    if sizes.language is None or sizes.vision is None or sizes.tokens is None:
        return None
    precision: Precision = "nf4" if config.language.quantization == "nf4" else config.language.dtype
    needs = []
    for row in config.stages:
        asked = questions(config, row)
        if row.objective != "language" or asked is None:
            continue
        memory = training_memory(
            sizes.language.config,
            parameters=sizes.language.parameters,
            precision=precision,
            tokens=sizes.tokens + asked * text_tokens,
            batch=row.batch_size,
            lora_r=None if "language" in row.trains else config.lora.r,
            checkpointing=config.trainer.gradient_checkpointing,
            supervised=round(asked * text_tokens * _ANSWER_SHARE),
        )
        needs.append(memory.total)
    return max(needs) + sizes.vision.parameters * BYTES[config.vision.dtype] if needs else None


def checkpoint_bytes(config: PanollavaConfig, rows: Sequence[StageConfig]) -> float | None:
    """Return the bytes of the checkpoints that these stages, trained one after the other, leave."""
    sizes = Sizes.of(config)
    if sizes.language is None or sizes.vision is None:
        return None
    new, total, trained = _new_parts(config, sizes), 0.0, set[str]()
    for row in rows:
        trained |= set(row.trains)
        held = 4.0 * new
        held += sizes.vision.parameters * BYTES[config.vision.dtype] if "vision" in trained else 0.0
        held += 4.0 * _adapter(config, sizes.language) if "adapter" in trained else 0.0
        held += sizes.language.parameters * BYTES[config.language.dtype] if "language" in trained else 0.0
        total += held
    return total


def feature_bytes(config: PanollavaConfig) -> float | None:
    """Return the bytes of the kept features of one encoder over all panoramas that a run may look at."""
    if not config.data.cache_features:
        return 0.0
    sizes = Sizes.of(config)
    generated = all(entry.source == EMBEDDED_SOURCE for entry in (*config.data.train, *config.data.test))
    if sizes.vision is None or sizes.patches is None or not generated:
        return None
    width = int(sizes.vision.config["hidden_size"])
    return config.data.synthetic.count * sizes.patches * width * BYTES[config.data.cache_dtype]


def _new_parts(config: PanollavaConfig, sizes: Sizes) -> int:
    """Return the weights of resampler and projector, counted without making them."""
    import torch

    from panollava.models.build import resampler_of
    from panollava.models.projector import Projector

    assert sizes.vision is not None and sizes.language is not None
    with torch.device("meta"):
        resampler: Any = resampler_of(config.resampler, width=int(sizes.vision.config["hidden_size"]), seed=0)
        projector = Projector(
            in_width=resampler.out_width, out_width=int(sizes.language.config["hidden_size"]), scale=1.0
        )
    return sum(p.numel() for module in (resampler, projector) for p in module.parameters())


def _adapter(config: PanollavaConfig, language: Network) -> int:
    return DecoderShape.of(language.config).lora_parameters(config.lora.r)


def _patches(config: PanollavaConfig) -> int | None:
    from panollava.models.sizes import encoder_sizes

    sizes = encoder_sizes(config.vision.model)
    if sizes is None:
        return None
    layout = build_layout(config.views.kind, **config.views.layout_options(encoder_size_px=sizes.image_px))
    return sum((v.height_px // sizes.patch_px) * (v.width_px // sizes.patch_px) for v in layout.views)


def _stored(file: Path) -> int:
    """Return the number of weights in a safetensors file, from its header."""
    from safetensors import safe_open

    with safe_open(file, framework="pt") as weights:
        return sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118


def _decoder(config: Mapping[str, Any]) -> int:
    shape = DecoderShape.of(config)
    layer = 2 * shape.hidden * (shape.queries + shape.keys) + 3 * shape.hidden * shape.mlp
    return shape.layers * layer + Network(config, 0).words


def _encoder(config: Mapping[str, Any]) -> int:
    values = config.get("vision_config", config)
    hidden, layers = int(values["hidden_size"]), int(values["num_hidden_layers"])
    mlp = int(values.get("intermediate_size") or hidden * int(values.get("mlp_ratio", 4)))
    return layers * (4 * hidden * hidden + 2 * hidden * mlp) + 3 * hidden * int(values["patch_size"]) ** 2
