"""The metrics that need a pretrained model: made out of the paths the user gave, to be scored like any other.

``score_items(items, metrics=names, prepared=model_metrics(models, folder=...))``. Models are loaded when a metric is
asked for, once for all of its kind.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from panollava.errors import MetricError, MetricUnavailable, unknown_name
from panollava.metrics.bert_score import bert_score, flat_weights
from panollava.metrics.clip_score import PROMPT, WEIGHT, clip_scores, ref_clip_score
from panollava.metrics.dino import dino_similarity
from panollava.metrics.items import Items
from panollava.metrics.learned import LEARNED
from panollava.metrics.metric import Metric, Outcome
from panollava.metrics.sbert import best_cosine
from panollava.metrics.signature import make_signature, reference_count
from panollava.metrics.tokens import TokenTable

REFERENCE_IMAGE = "reference_image"
_ITEMS = 256  # whose token embeddings are held at once
Run = Callable[[Items, TokenTable, str | None], Outcome]


@dataclass(frozen=True, slots=True)
class ModelPaths:
    """Which pretrained models to score with; None: none.

    Attributes:
        clip: folder or hub id of a CLIP model.
        dino: of a DINOv2 model.
        sbert: of a sentence encoder.
        bert: of an encoder for BERTScore.
        bert_layer: its layer; None: the known best one of the model's name.
    """

    clip: str | None = None
    dino: str | None = None
    sbert: str | None = None
    bert: str | None = None
    bert_layer: int | None = None


def parse_models(words: Sequence[str]) -> ModelPaths:
    """Return the models out of words such as "clip=PATH" and "bert_layer=9".

    Raises:
        MetricError: A word of another form, an unknown name, or a layer that is no number.

    Example:
        >>> parse_models(["sbert=models/minilm"]).sbert
        'models/minilm'
    """
    given: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not value:
            raise MetricError(f"--model is '{word}'; write NAME=PATH, such as clip=models/clip-vit-base-patch32.")
        if name not in ModelPaths.__slots__:
            raise MetricError(unknown_name("model", name, ModelPaths.__slots__))
        given[name] = value
    layer = given.pop("bert_layer", None)
    if layer is not None and not layer.isdigit():
        raise MetricError(f"--model bert_layer={layer}: the layer is a number from 1.")
    return ModelPaths(**given, bert_layer=int(layer) if layer else None)


def model_metrics(models: ModelPaths, *, folder: Path) -> dict[str, Metric]:
    """Return the metrics that the given models make possible, by name.

    Args:
        models: the paths.
        folder: below which a relative image path of the items lies.
    """
    judges: dict[str, dict[str, Run]] = {}
    if models.clip is not None:
        judges["clip"] = _Clip(models.clip, folder).runs()
    if models.dino is not None:
        judges["dino"] = {"dino_similarity": _dino(models.dino, folder)}
    if models.sbert is not None:
        judges["sbert"] = {"sbert_similarity": _sbert(models.sbert)}
    if models.bert is not None:
        judges["bert"] = {"bert_score": _bert(models.bert, models.bert_layer)}
    return {
        name: Metric(LEARNED[name][1], LEARNED[name][2], run) for runs in judges.values() for name, run in runs.items()
    }


def _outcome(scores: NDArray[np.float64], items: Items, fields: dict[str, str]) -> Outcome:
    signature = make_signature({"nrefs": reference_count(items.references), **fields})
    return Outcome(float(scores.mean()), signature, tuple(scores.tolist()))


def _spoken(items: Items) -> list[int]:
    """Return the items whose prediction says something; the others score 0."""
    return [i for i, text in enumerate(items.predictions) if text.strip()]


def _sbert(path: str) -> Run:
    def run(items: Items, tokens: TokenTable, tokenizer: str | None) -> Outcome:  # noqa: ARG001
        from panollava.evaluation.score_models import weights_signature
        from panollava.evaluation.text_models import SentenceModel

        model = SentenceModel(path)
        ours = model.embed(items.predictions)
        theirs = model.embed([text for group in items.references for text in group])
        ends = np.cumsum([len(group) for group in items.references])
        scores = np.zeros(len(ours))
        for i in _spoken(items):
            scores[i] = best_cosine(ours[i], references=theirs[ends[i] - len(items.references[i]) : ends[i]])
        return _outcome(scores, items, {"model": weights_signature(model.files), "pool": model.pooling})

    return run


def _bert(path: str, layer: int | None) -> Run:
    def run(items: Items, tokens: TokenTable, tokenizer: str | None) -> Outcome:  # noqa: ARG001
        from panollava.evaluation.score_models import weights_signature
        from panollava.evaluation.text_models import TokenModel

        model = TokenModel(path, layer=layer)
        weights = flat_weights(model.special_ids)
        scores, spoken = np.zeros(len(items.predictions)), _spoken(items)
        for start in range(0, len(spoken), _ITEMS):
            some = spoken[start : start + _ITEMS]
            texts = dict.fromkeys(text for i in some for text in (items.predictions[i], *items.references[i]))
            known = dict(zip(texts, model.embed(list(texts)), strict=True))
            for i in some:
                pairs = [(known[items.predictions[i]], known[text]) for text in items.references[i]]
                scores[i] = max(bert_score(ours, reference=theirs, weights=weights)[2] for ours, theirs in pairs)
        fields = {"model": weights_signature(model.files), "layer": str(model.layer)}
        return _outcome(scores, items, {**fields, "idf": "no", "rescale": "no"})

    return run


def _dino(path: str, folder: Path) -> Run:
    def run(items: Items, tokens: TokenTable, tokenizer: str | None) -> Outcome:  # noqa: ARG001
        from panollava.evaluation.image_models import DinoModel
        from panollava.evaluation.score_models import weights_signature

        others = items.cells.get(REFERENCE_IMAGE)
        if not items.images or others is None:
            raise MetricUnavailable(
                "DINO similarity compares two pictures of an item: the file needs the columns image_path and"
                f" {REFERENCE_IMAGE}."
            )
        model = DinoModel(path)
        scores = np.zeros(len(items.images))
        for i, image in enumerate(items.images):
            ours = model.views(folder / image)
            pairs = [dino_similarity(ours, reference=model.views(folder / other)) for other in dict.fromkeys(others[i])]
            scores[i] = max(pairs)
        views = f"{model.layout.name}{len(model.layout.views)}"
        return _outcome(scores, items, {"model": weights_signature(model.files), "views": views, "crop": "no"})

    return run


class _Clip:
    """The four scores of CLIP, from embeddings that are computed once for the same items."""

    def __init__(self, path: str, folder: Path) -> None:
        self.path, self.folder = path, folder
        self._known: tuple[Items, list[NDArray[np.float64]], NDArray[np.float64], dict[str, str]] | None = None

    def runs(self) -> dict[str, Run]:
        """Return the scoring function of each metric, by name."""
        return {
            f"{'ref_' if refs else ''}clip_score{'_max' if best else ''}": self._run(best=best, with_references=refs)
            for best in (False, True)
            for refs in (False, True)
        }

    def _run(self, *, best: bool, with_references: bool) -> Run:
        def run(items: Items, tokens: TokenTable, tokenizer: str | None) -> Outcome:  # noqa: ARG001
            views, likeness, fields = self._embedded(items)
            scores = np.array([float(values.max() if best else values.mean()) for values in views])
            if with_references:
                pairs = zip(scores, likeness, strict=True)
                scores = np.array([ref_clip_score(score, likeness=like) for score, like in pairs])
            named = {**fields, "pool": "max" if best else "mean", "w": f"{WEIGHT:g}"}
            return _outcome(scores, items, named)

        return run

    def _embedded(self, items: Items) -> tuple[list[NDArray[np.float64]], NDArray[np.float64], dict[str, str]]:
        """Return per item the score of each view and the best cosine with a reference, and the signature's fields."""
        if self._known is not None and self._known[0] is items:
            return self._known[1:]
        if not items.images:
            raise MetricUnavailable("CLIPScore looks at pictures: the file needs the column image_path.")
        from panollava.evaluation.image_models import ClipModel
        from panollava.evaluation.score_models import weights_signature

        model = ClipModel(self.path)
        views = [np.zeros(len(model.layout.views)) for _ in items.predictions]
        likeness = np.zeros(len(views))
        pictures: dict[str, NDArray[np.floating]] = {}
        for i in _spoken(items):
            caption, *references = model.texts([PROMPT + text for text in (items.predictions[i], *items.references[i])])
            image = items.images[i]
            if image not in pictures:
                pictures[image] = model.views(self.folder / image)
            views[i] = clip_scores(caption, views=pictures[image])
            likeness[i] = best_cosine(caption, references=np.array(references))
        shown = f"{model.layout.name}{len(model.layout.views)}"
        fields = {"model": weights_signature(model.files), "views": shown, "prompt": "a-photo-depicts"}
        self._known = items, views, likeness, fields
        return views, likeness, fields
