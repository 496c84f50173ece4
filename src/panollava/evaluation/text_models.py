"""Embeddings of texts by pretrained models: one per sentence (SBERT), one per token (BERT).

::

    texts -> tokens -> model -> b t d -> mean over tokens, unit length     SentenceModel     f32 n d
                                      -> layer's hidden state, per text    TokenModel        f32 t d each
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from panollava.errors import MetricUnavailable
from panollava.evaluation.score_models import batches, judge_files, load_eval, load_tokenizer, to_device, token_limit
from panollava.metrics.bert_score import TextEmbedding

BERT_LAYERS = {
    "bert-base-uncased": 9,
    "bert-large-uncased": 18,
    "bert-base-multilingual-cased": 9,
    "roberta-base": 10,
    "roberta-large": 17,
    "roberta-large-mnli": 19,
    "xlm-roberta-base": 9,
    "xlm-roberta-large": 17,
    "distilbert-base-uncased": 5,
    "distilbert-base-multilingual-cased": 5,
    "distilroberta-base": 5,
}
"""The layer whose embeddings agree best with people on WMT16, by model: what the package bert-score takes."""


class SentenceModel:
    """Embeds sentences by the mean of their token embeddings, or by their first token where the model says so.

    Args:
        path: folder or hub id of a sentence encoder.

    Raises:
        MetricUnavailable: It cannot be loaded, or pools in another way.
    """

    def __init__(self, path: str) -> None:
        from transformers import AutoModel

        self.files = judge_files("sbert", path)
        self.model = load_eval("sbert", self.files, model=AutoModel)
        self.tokenizer = load_tokenizer("sbert", self.files)
        self.pooling = _pooling(self.files.folder)
        self._limit = min(token_limit(self.tokenizer, self.model.config), _sentence_limit(self.files.folder))

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
        """Return one unit vector per text."""
        rows = np.zeros((len(texts), self.model.config.hidden_size), np.float32)
        for places in batches(texts):
            inputs = self.tokenizer(
                [texts[i] for i in places], padding=True, truncation=True, max_length=self._limit, return_tensors="pt"
            )
            inputs = to_device(inputs, self.model)
            hidden = self.model(**inputs).last_hidden_state
            mask = inputs["attention_mask"][..., None].to(hidden.dtype)
            pooled = hidden[:, 0] if self.pooling == "cls" else (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
            rows[places] = torch.nn.functional.normalize(pooled, dim=-1).cpu().numpy()
        return rows


class TokenModel:
    """Embeds the tokens of texts by one hidden layer.

    Args:
        path: folder or hub id of an encoder.
        layer: 1 for the first block's output, and so on; None: the known best layer of the model's name.

    Raises:
        MetricUnavailable: It cannot be loaded, or the layer is not known or not there.
    """

    def __init__(self, path: str, *, layer: int | None = None) -> None:
        from transformers import AutoModel

        self.files = judge_files("bert", path)
        self.model = load_eval("bert", self.files, model=AutoModel)
        self.tokenizer = load_tokenizer("bert", self.files)
        self.layer = _layer(path, layer, int(self.model.config.num_hidden_layers))
        self._limit = token_limit(self.tokenizer, self.model.config)

    @property
    def special_ids(self) -> list[int]:
        """The tokens that open and close a text."""
        ids = (self.tokenizer.cls_token_id, self.tokenizer.sep_token_id)
        return [token for token in ids if token is not None]

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> list[TextEmbedding]:
        """Return the tokens of each text, padding left out; white space around a text does not count."""
        found: dict[int, TextEmbedding] = {}
        for places in batches(texts):
            inputs = self.tokenizer(
                [texts[i].strip() for i in places],
                padding=True,
                truncation=True,
                max_length=self._limit,
                return_tensors="pt",
            )
            inputs = to_device(inputs, self.model)
            hidden = self.model(**inputs, output_hidden_states=True).hidden_states[self.layer].cpu().numpy()
            there = inputs["attention_mask"].bool().cpu().numpy()
            ids = inputs["input_ids"].cpu().numpy()
            for row, place in enumerate(places):
                found[place] = TextEmbedding(tuple(ids[row][there[row]].tolist()), hidden[row][there[row]])
        return [found[place] for place in range(len(texts))]


def _layer(path: str, layer: int | None, count: int) -> int:
    chosen = layer if layer is not None else BERT_LAYERS.get(Path(path).name)
    if chosen is None or not 1 <= chosen <= count:
        asked = "no layer is known to be the best" if chosen is None else f"layer {chosen} is not among them"
        raise MetricUnavailable(
            f"the model '{path}' has {count} layers, and {asked}. Name one: --model bert_layer=N, or"
            " evaluation.models.bert_layer."
        )
    return chosen


def _pooling(folder: Path) -> str:
    """Return how the folder of a sentence encoder says that tokens become a sentence: "mean" or "cls"."""
    settings: dict[str, Any] = _read(folder / "1_Pooling" / "config.json")
    chosen = sorted(key for key, value in settings.items() if key.startswith("pooling_mode") and value is True)
    named = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
    if not chosen:
        return "mean"
    if len(chosen) > 1 or chosen[0] not in named:
        raise MetricUnavailable(
            f"{folder} pools tokens by {', '.join(chosen)}; known are {', '.join(named)}. Use another sentence encoder."
        )
    return named[chosen[0]]


def _sentence_limit(folder: Path) -> int:
    """Return how many tokens of a sentence count, as the folder says."""
    return int(_read(folder / "sentence_bert_config.json").get("max_seq_length") or 1_000_000)


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
    except ValueError as error:
        raise MetricUnavailable(f"{path} is not JSON: {error}.") from error
