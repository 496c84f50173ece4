"""The metrics that need the weights of a model: their names, and what they say where there are none.

``evaluation/model_scores.py`` makes the metrics that run, out of the paths the user gave; this table is what a report
shows otherwise. Nothing is fetched by itself.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from panollava.errors import MetricUnavailable
from panollava.metrics.metric import Metric

if TYPE_CHECKING:
    from panollava.metrics.items import Items
    from panollava.metrics.metric import Outcome
    from panollava.metrics.tokens import TokenTable

MODELS: Mapping[str, str] = MappingProxyType(
    {
        "clip": "CLIP (a model such as openai/clip-vit-base-patch32)",
        "dino": "DINOv2 (a model such as facebook/dinov2-base)",
        "sbert": "a sentence encoder (a model such as sentence-transformers/all-MiniLM-L6-v2)",
        "bert": "BERT (a model such as roberta-large)",
    }
)
"""What each key of ``evaluation.models`` stands for."""


def _without(kind: str, label: str) -> "Callable[[Items, TokenTable, str | None], Outcome]":
    def run(items: "Items", tokens: "TokenTable", tokenizer: str | None) -> "Outcome":  # noqa: ARG001
        raise MetricUnavailable(
            f"{label} needs the weights of {MODELS[kind]}. Give a folder or a hub id: --model {kind}=PATH, or"
            f" evaluation.models.{kind}."
        )

    return run


LEARNED: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "clip_score": ("clip", "CLIPScore (mean of views)", "Hessel 2021"),
        "clip_score_max": ("clip", "CLIPScore (best view)", "Hessel 2021"),
        "ref_clip_score": ("clip", "RefCLIPScore (mean of views)", "Hessel 2021"),
        "ref_clip_score_max": ("clip", "RefCLIPScore (best view)", "Hessel 2021"),
        "dino_similarity": ("dino", "DINO similarity", "panollava"),
        "sbert_similarity": ("sbert", "SBERT similarity", "sentence-transformers-compatible"),
        "bert_score": ("bert", "BERTScore F1", "bert-score-compatible"),
    }
)
"""By name of the metric: key of its model, label, implementation."""

LEARNED_METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        name: Metric(label, implementation, _without(kind, label))
        for name, (kind, label, implementation) in LEARNED.items()
    }
)
