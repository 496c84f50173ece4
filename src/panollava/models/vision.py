"""The vision encoder: any Hugging Face vision model, read as a grid of patch tokens by a declared contract."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from panollava.errors import ModelError
from panollava.models.hub import Pretrained, pretrained
from panollava.models.remote_code import CodeConsent, code_needed

_HALF = (0.5, 0.5, 0.5)
_CLIP_MEAN, _CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

_NOT_COMPUTED = {
    "transformers_version", "_name_or_path", "architectures", "dtype", "torch_dtype", "id2label", "label2id",
    "output_attentions", "output_hidden_states", "return_dict", "problem_type", "initializer_range",
    "initializer_factor",
}  # fmt: skip
"""Keys of an encoder's config that leave its features as they are."""

DECLARED = (
    "siglip",
    "siglip_vision_model",
    "siglip2",
    "siglip2_vision_model",
    "clip",
    "clip_vision_model",
    "dinov2",
    "dinov2_with_registers",
    "dinov3_vit",
    "efficientnet_lite",
    "vit",
    "ijepa",
)
"""Architectures whose contract is known, by ``model_type``."""


@dataclass(frozen=True, slots=True)
class EncoderContract:
    """What an encoder promises about its input and its tokens.

    Attributes:
        patch_px: Side of a patch.
        image_px: Side of the square image it was trained on.
        prefix_tokens: CLS and register tokens before the patch tokens; they are dropped.
        mean, std: Normalisation per RGB channel, of values in [0, 1].
        interpolate_flag: Whether ``forward`` takes ``interpolate_pos_encoding`` for other sizes than ``image_px``.
        takes_patches: Whether ``forward`` takes flat patches and the shape of their grid instead of pictures (NaFlex).
        inner_layers: Whether hidden states before the last have the same grid and width, so that one can be chosen.
    """

    patch_px: int
    image_px: int
    prefix_tokens: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolate_flag: bool
    takes_patches: bool = False
    inner_layers: bool = True

    def grid(self, height_px: int, width_px: int) -> tuple[int, int]:
        """Return rows and columns of patches of an image.

        Raises:
            ModelError: If the size is not a multiple of the patch.
        """
        if height_px % self.patch_px or width_px % self.patch_px:
            raise ModelError(
                f"a view of {height_px} x {width_px} px does not divide into patches of {self.patch_px} px; "
                f"choose views.size_px (and global_size_px) as multiples of {self.patch_px}"
            )
        return height_px // self.patch_px, width_px // self.patch_px


class VisionEncoder(nn.Module):
    """Images in, a grid of patch features out; CLS and register tokens are dropped by contract, not by guess.

    Args:
        model: A Hugging Face vision model.
        contract: Its declared behaviour.
        feature_layer: Hidden state to return: -1 what the model calls its last hidden state (SigLIP and DINOv2: after
            the final norm, CLIP: before it), -2 the output of the block before, and so on.
        files: Where it was loaded from, if it was.

    Raises:
        ModelError: If another than the last is asked for, and the contract says that there is no other.
    """

    def __init__(
        self, model: Any, contract: EncoderContract, *, feature_layer: int = -1, files: Pretrained | None = None
    ) -> None:
        if feature_layer != -1 and not contract.inner_layers:
            raise ModelError(
                f"vision.feature_layer is {feature_layer}, but the layers of {type(model).__name__} differ in grid and "
                "width, and only the last is a layer of features; write vision.feature_layer: -1"
            )
        super().__init__()
        self.model, self.contract, self.feature_layer, self.files = model, contract, feature_layer, files

    @property
    def reading(self) -> dict[str, Any]:
        """What its features depend on beside its weights: how it reads pictures, and what its layers compute."""
        config = {key: value for key, value in self.model.config.to_dict().items() if key not in _NOT_COMPUTED}
        return {"contract": asdict(self.contract), "config": config}

    @property
    def hidden_size(self) -> int:
        """Width of a patch feature."""
        return int(self.model.config.hidden_size)

    def normalise(self, pixels: UInt8[Tensor, "n h w 3"]) -> Float[Tensor, "n 3 h w"]:
        """Return the pixels as the encoder expects them: float, channels first, mean and deviation removed."""
        mean = torch.tensor(self.contract.mean, device=pixels.device)
        std = torch.tensor(self.contract.std, device=pixels.device)
        return ((pixels.float() / 255.0 - mean) / std).permute(0, 3, 1, 2).contiguous()

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n rows cols d"]:
        """Return the patch features of normalised images of one size.

        Raises:
            ModelError: If the encoder returns another number of tokens than its contract says.
        """
        rows, cols = self.contract.grid(*images.shape[-2:])
        asked = self._asked(images.to(next(self.model.parameters()).dtype))
        if self.feature_layer == -1:
            tokens = self.model(**asked).last_hidden_state
        else:
            tokens = self.model(output_hidden_states=True, **asked).hidden_states[self.feature_layer]
        if tokens.shape[1] != self.contract.prefix_tokens + rows * cols:
            raise ModelError(
                f"the encoder returned {tokens.shape[1]} tokens for {rows} x {cols} patches, but its contract says "
                f"{self.contract.prefix_tokens} + {rows * cols}; declare its family in models/vision.py"
            )
        patches: Tensor = tokens[:, self.contract.prefix_tokens :]
        return patches.reshape(len(images), rows, cols, -1)

    def blocks(self) -> nn.ModuleList:
        """Return the blocks of a transformer, or the stages of a convolutional encoder, first to last.

        Raises:
            ModelError: If the encoder is not a stack of as many blocks as its config says.
        """
        depth = self.model.config.num_hidden_layers
        found = [m for m in self.model.modules() if isinstance(m, nn.ModuleList) and len(m) == depth]
        if not found:
            raise ModelError(f"{type(self.model).__name__} has no list of {depth} blocks to train the last of")
        return found[0]

    def _asked(self, images: Float[Tensor, "n 3 h w"]) -> dict[str, Any]:
        """Return the arguments of the model's ``forward``: pictures, or their patches and the shape of the grid."""
        if not self.contract.takes_patches:
            extra = {"interpolate_pos_encoding": True} if self._interpolates(images) else {}
            return {"pixel_values": images, **extra}
        side = self.contract.patch_px
        patches = rearrange(images, "n c (r a) (k b) -> n (r k) (a b c)", a=side, b=side)
        shape = torch.tensor(self.contract.grid(*images.shape[-2:]), device=images.device)
        return {
            "pixel_values": patches,
            "pixel_attention_mask": torch.ones(patches.shape[:2], dtype=torch.long, device=images.device),
            "spatial_shapes": shape.expand(len(images), 2),
        }

    def _interpolates(self, images: Float[Tensor, "n 3 h w"]) -> bool:
        native = (self.contract.image_px, self.contract.image_px)
        return self.contract.interpolate_flag and tuple(images.shape[-2:]) != native


def contract_of(config: Any) -> EncoderContract:
    """Return the contract of an encoder by its architecture.

    Raises:
        ModelError: If the architecture has not been declared.
    """
    if config.model_type not in DECLARED:  # first: an undeclared architecture may have neither size
        raise ModelError(
            f"the token layout of encoder architecture '{config.model_type}' is not declared. "
            f"Declared: {', '.join(DECLARED)}; add it to contract_of in models/vision.py"
        )
    patch_px = int(config.patch_size)
    if config.model_type in ("siglip2", "siglip2_vision_model"):
        side = round(config.num_patches**0.5) * patch_px
        return EncoderContract(
            patch_px, side, prefix_tokens=0, mean=_HALF, std=_HALF, interpolate_flag=False, takes_patches=True
        )
    image_px = config.image_size if isinstance(config.image_size, int) else config.image_size[0]
    side = int(image_px) // patch_px * patch_px
    if config.model_type in ("siglip_vision_model", "siglip"):
        return EncoderContract(patch_px, side, prefix_tokens=0, mean=_HALF, std=_HALF, interpolate_flag=True)
    if config.model_type in ("clip_vision_model", "clip"):
        return EncoderContract(patch_px, side, prefix_tokens=1, mean=_CLIP_MEAN, std=_CLIP_STD, interpolate_flag=True)
    if config.model_type in ("dinov2", "dinov2_with_registers", "dinov3_vit"):
        registers = 0 if config.model_type == "dinov2" else int(config.num_register_tokens)
        return EncoderContract(
            patch_px, side, prefix_tokens=1 + registers, mean=_IMAGENET_MEAN, std=_IMAGENET_STD, interpolate_flag=False
        )
    if config.model_type == "efficientnet_lite":  # it was trained on pixels in [-1, 1], not on ImageNet's statistics
        return EncoderContract(
            patch_px, side, prefix_tokens=0, mean=_HALF, std=_HALF, interpolate_flag=False, inner_layers=False
        )
    prefix = 1 if config.model_type == "vit" else 0
    return EncoderContract(patch_px, side, prefix_tokens=prefix, mean=_HALF, std=_HALF, interpolate_flag=True)


def load_vision(
    path: str | Path,
    *,
    dtype: torch.dtype,
    feature_layer: int = -1,
    revision: str | None = None,
    consent: CodeConsent | None = None,
) -> VisionEncoder:
    """Load an encoder from a folder or hub id; of a dual encoder (CLIP, SigLIP) only the vision tower.

    Args:
        path: Folder or hub id.
        dtype: Data type of the weights.
        feature_layer: Hidden state to return.
        revision: Hub revision.
        consent: Whether Python files of the model may be run; None: no.

    Raises:
        HubError: If neither hub nor cache give it.
        ModelError: If it cannot be loaded or its architecture is not declared.
    """
    from transformers import AutoConfig, AutoModel, CLIPVisionModel, Siglip2VisionModel, SiglipVisionModel

    from panollava.models.efficientnet_lite import register

    register()
    towers = {
        "siglip": SiglipVisionModel,
        "siglip_vision_model": SiglipVisionModel,
        "siglip2": Siglip2VisionModel,
        "siglip2_vision_model": Siglip2VisionModel,
        "clip": CLIPVisionModel,
        "clip_vision_model": CLIPVisionModel,
    }
    files = pretrained(path, key="vision.model", revision=revision, consent=consent or CodeConsent())
    options = {"trust_remote_code": files.code, "local_files_only": True}
    try:
        config = AutoConfig.from_pretrained(files.folder, **options)
        loader = towers.get(config.model_type, AutoModel)
        model = loader.from_pretrained(files.folder, dtype=dtype, use_safetensors=True, **options)
    except (OSError, ValueError, KeyError, TypeError) as error:
        needs = code_needed(files.folder, files.name, key="vision.model")
        raise ModelError(
            f"the vision encoder '{path}' cannot be loaded: {needs or error}. "
            "Give vision.model a folder with config.json and safetensors, a hub id, or a preset name."
        ) from error
    model.config._name_or_path = files.name  # else exports would name a folder of this machine's cache
    contract = _with_processor(contract_of(model.config), files.folder)
    return VisionEncoder(model, contract, feature_layer=feature_layer, files=files)


def _with_processor(contract: EncoderContract, folder: Path) -> EncoderContract:
    """Take mean and deviation from the model's own image processor, where it ships one."""
    from dataclasses import replace

    from transformers.image_processing_base import ImageProcessingMixin

    try:
        values, _ = ImageProcessingMixin.get_image_processor_dict(folder, local_files_only=True)
    except OSError:  # no preprocessor_config.json: the family's declared constants stand
        return contract
    mean, std = values.get("image_mean"), values.get("image_std")
    if not mean or not std or not all(math.isfinite(x) for x in [*mean, *std]):
        return contract
    return replace(contract, mean=tuple(mean), std=tuple(std))
