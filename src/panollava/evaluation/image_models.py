"""Embeddings of panoramas by pretrained models, view by view, with no centre crop.

::

    file -> four faces of a cube, front right behind left -> normalised -> CLIP    f32 v d, and f32 n d of texts
                                                                        -> DINOv2  f32 v d, the CLS token

A centre crop of a panorama would show the front alone; the faces show all around, each without distortion.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from panollava.data.views import normalised_views
from panollava.errors import DataError, MetricUnavailable, ModelError
from panollava.evaluation.score_models import batches, judge_files, load_eval, load_tokenizer, to_device
from panollava.geometry import ViewLayout, cubemap
from panollava.models.vision import EncoderContract, contract_of

_DINO_PX = 224  # DINOv2 is evaluated on pictures of this size, though its table of positions is for 518


class ClipModel:
    """CLIP: views of a panorama and texts in one space.

    Args:
        path: folder or hub id of a CLIP model with both towers.

    Raises:
        MetricUnavailable: It cannot be loaded.
    """

    def __init__(self, path: str) -> None:
        from transformers import CLIPModel

        self.files = judge_files("clip", path)
        self.model = load_eval("clip", self.files, model=CLIPModel)
        self.tokenizer = load_tokenizer("clip", self.files)
        self._contract = _contract(self.model.config.vision_config, path, key="clip")
        self.layout = cubemap(size_px=self._contract.image_px, poles=False)

    @torch.inference_mode()
    def views(self, image: Path) -> Float[np.ndarray, "v d"]:
        """Return one vector per view; an image that cannot be read is MetricUnavailable."""
        pixels = _pixels(image, self.layout, self._contract).to(self.model.device)
        return np.asarray(self.model.get_image_features(pixel_values=pixels).pooler_output.cpu())

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
        """Return one vector per text, longer ones cut to what CLIP reads."""
        limit = int(self.model.config.text_config.max_position_embeddings)
        rows = np.zeros((len(texts), self.model.config.projection_dim), np.float32)
        for places in batches(texts):
            inputs = self.tokenizer(
                [texts[i] for i in places], padding=True, truncation=True, max_length=limit, return_tensors="pt"
            )
            chosen = {name: inputs[name] for name in ("input_ids", "attention_mask")}
            rows[places] = self.model.get_text_features(**to_device(chosen, self.model)).pooler_output.cpu().numpy()
        return rows


class DinoModel:
    """DINOv2: views of a panorama.

    Args:
        path: folder or hub id.

    Raises:
        MetricUnavailable: It cannot be loaded.
    """

    def __init__(self, path: str) -> None:
        from transformers import AutoModel

        self.files = judge_files("dino", path)
        self.model = load_eval("dino", self.files, model=AutoModel)
        self._contract = _contract(self.model.config, path, key="dino")
        if not self._contract.prefix_tokens:
            raise MetricUnavailable(f"the model '{path}' has no CLS token to compare. Use a DINOv2 model.")
        patch = self._contract.patch_px
        self.layout = cubemap(size_px=min(self._contract.image_px, _DINO_PX // patch * patch), poles=False)

    @torch.inference_mode()
    def views(self, image: Path) -> Float[np.ndarray, "v d"]:
        """Return the CLS token of each view; an image that cannot be read is MetricUnavailable."""
        pixels = _pixels(image, self.layout, self._contract).to(self.model.device)
        return np.asarray(self.model(pixel_values=pixels).last_hidden_state[:, 0].cpu())


def _contract(config: Any, path: str, *, key: str) -> EncoderContract:
    try:
        return contract_of(config)
    except ModelError as error:
        raise MetricUnavailable(f"the model '{path}' of evaluation.models.{key} cannot be used: {error}") from error


def _pixels(image: Path, layout: ViewLayout, contract: EncoderContract) -> torch.Tensor:
    try:
        (views,) = normalised_views(image, layout, mean=contract.mean, std=contract.std)
    except DataError as error:
        raise MetricUnavailable(f"the picture of a prediction cannot be read: {error}") from error
    return torch.from_numpy(views)
