"""The metrics that need weights, with tiny models of the real classes.

BERTScore's values are frozen from the package bert-score 0.3.13 (transformers 5.19, torch 2.13, CPU), for the model
that ``tiny_judges.save_bert`` writes:

    bert_score.score(PREDICTIONS, REFERENCES, model_type=FOLDER, num_layers=2 or 3, idf=False, device="cpu")
"""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from panollava.errors import MetricError
from panollava.metrics import check_items, score_items
from panollava.metrics.learned import LEARNED

from .tiny_judges import save_bert, save_clip, save_dino, save_tokenizer

PREDICTIONS = [
    "a red sofa by the window",
    "two dog on the big room",
    "a lamp",
    "unknown words here a",
    "the blue chair",
]
REFERENCES = [
    ["a red couch by the door", "a sofa"],
    ["two cat on the small room", "a dog"],
    ["a lamp"],
    ["a red door"],
    ["the small chair by the window", "blue"],
]
BERT_SCORE_F = {
    2: [0.8500642, 0.8661407, 1.0, 0.3384214, 0.9454768],
    3: [0.8321297, 0.6279262, 1.0, 0.6423607, 0.9214206],
}


@pytest.fixture(scope="module")
def judges(tmp_path_factory):
    root = tmp_path_factory.mktemp("judges")
    makers = {"bert": save_bert, "clip": save_clip, "dino": save_dino}
    return {name: str(make(root / name)) for name, make in makers.items()}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    from PIL import Image

    folder = tmp_path_factory.mktemp("pictures")
    for name, seed in (("a.png", 1), ("b.png", 2)):
        coarse = np.random.RandomState(seed).randint(0, 256, (8, 16, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((128, 64)).save(folder / name)
    return folder


def score(name, models, *, folder=Path(), items=None, **more):
    from panollava.evaluation.model_scores import ModelPaths, model_metrics

    items = items or check_items(PREDICTIONS, REFERENCES, **more)
    (result,) = score_items(items, metrics=[name], prepared=model_metrics(ModelPaths(**models), folder=folder)).results
    return result


@pytest.mark.parametrize("layer", [2, 3])
def test_bert_score_is_that_of_the_package(judges, layer):
    result = score("bert_score", {"bert": judges["bert"], "bert_layer": layer})
    assert result.per_item == pytest.approx(BERT_SCORE_F[layer], abs=1e-6)
    assert result.value == pytest.approx(np.mean(BERT_SCORE_F[layer]), abs=1e-6)
    assert f"|layer:{layer}|idf:no|rescale:no|" in result.signature


@pytest.mark.parametrize(
    ("layer", "message"), [(None, "has 3 layers, and no layer is known"), (4, "layer 4 is not among them")]
)
def test_bert_score_needs_a_layer_that_is_there(judges, layer, message):
    result = score("bert_score", {"bert": judges["bert"], "bert_layer": layer})
    assert result.value is None and message in result.reason and "--model bert_layer=N" in result.reason


def test_sbert_is_the_cosine_of_means_over_words(judges):
    import torch
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = AutoModel.from_pretrained(judges["bert"]), AutoTokenizer.from_pretrained(judges["bert"])

    @torch.inference_mode()
    def embed(text):
        return model(**tokenizer([text], return_tensors="pt")).last_hidden_state[0].mean(0)

    def likeness(one, other):
        return torch.cosine_similarity(embed(one), embed(other), dim=0).item()

    expected = [
        max(likeness(prediction, reference) for reference in group)
        for prediction, group in zip(PREDICTIONS, REFERENCES, strict=True)
    ]
    result = score("sbert_similarity", {"sbert": judges["bert"]})
    assert result.per_item == pytest.approx(expected, abs=1e-5)
    assert "|pool:mean|" in result.signature and "model:bert@" in result.signature


def test_the_folder_of_a_sentence_encoder_says_how_it_pools(judges, tmp_path):
    folder = save_bert(tmp_path / "cls")
    (folder / "1_Pooling").mkdir()
    settings = folder / "1_Pooling" / "config.json"
    settings.write_text(json.dumps({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}))
    first = score("sbert_similarity", {"sbert": str(folder)})
    assert "|pool:cls|" in first.signature
    assert first.per_item[0] != pytest.approx(score("sbert_similarity", {"sbert": judges["bert"]}).per_item[0])
    settings.write_text(json.dumps({"pooling_mode_max_tokens": True}))
    assert "pools tokens by pooling_mode_max_tokens" in score("sbert_similarity", {"sbert": str(folder)}).reason


def test_a_sentence_is_cut_where_its_encoder_says(judges, tmp_path):
    folder = save_bert(tmp_path / "short")
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 4}')
    items = check_items(["a red sofa"], ["a red couch"])
    assert score("sbert_similarity", {"sbert": str(folder)}, items=items).value == pytest.approx(1.0)
    assert score("sbert_similarity", {"sbert": judges["bert"]}, items=items).value < 0.99


@pytest.mark.parametrize("name", ["bert_score", "sbert_similarity", "clip_score", "ref_clip_score_max"])
def test_an_empty_prediction_scores_zero(judges, pictures, name):
    models = {"bert": judges["bert"], "bert_layer": 2, "sbert": judges["bert"], "clip": judges["clip"]}
    items = check_items(["a dog", " "], ["a dog", "a cat"], images=["a.png", "b.png"])
    result = score(name, models, folder=pictures, items=items)
    assert result.per_item[1] == 0.0 and len(result.per_item) == 2
    if not name.startswith(("clip", "ref")):
        assert result.per_item[0] == pytest.approx(1.0, abs=1e-6)


def clip_by_hand(folder, picture, caption, references):
    """Score with the model's own processor, each face rendered and given as a picture."""
    import torch
    from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

    from panollava.data.views import load_views
    from panollava.geometry import cubemap

    model, tokenizer = CLIPModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    (views,) = load_views(picture, cubemap(size_px=16, poles=False))
    processor = CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=16)
    pixels = processor([view.numpy() for view in views], return_tensors="pt")["pixel_values"]

    def texts(some):
        inputs = tokenizer([f"A photo depicts {text}" for text in some], padding=True, return_tensors="pt")
        return model.get_text_features(inputs["input_ids"], inputs["attention_mask"]).pooler_output

    with torch.inference_mode():
        seen, said = model.get_image_features(pixels).pooler_output, texts([caption, *references])
    views = 2.5 * torch.cosine_similarity(seen, said[:1]).clamp(min=0)
    return views.tolist(), torch.cosine_similarity(said[1:], said[:1]).max().clamp(min=0).item()


def test_clip_scores_are_those_of_the_model_itself_on_each_face(judges, pictures):
    items = check_items(PREDICTIONS[:2], REFERENCES[:2], images=["a.png", "b.png"])
    found = {
        name: score(name, {"clip": judges["clip"]}, folder=pictures, items=items)
        for name in ("clip_score", "clip_score_max", "ref_clip_score", "ref_clip_score_max")
    }
    for i, image in enumerate(items.images):
        views, likeness = clip_by_hand(judges["clip"], pictures / image, PREDICTIONS[i], REFERENCES[i])
        assert len(views) == 4 and likeness > 0
        for name, pooled in (("clip_score", np.mean(views)), ("clip_score_max", max(views))):
            assert found[name].per_item[i] == pytest.approx(pooled, abs=1e-5)
            both = 2 * pooled * likeness / (pooled + likeness) if pooled else 0.0
            assert found[f"ref_{name}"].per_item[i] == pytest.approx(both, abs=1e-5)
    assert found["clip_score"].value > 0
    assert found["clip_score"].value < found["clip_score_max"].value
    assert "|views:cubemap4|prompt:a-photo-depicts|pool:mean|w:2.5|" in found["clip_score"].signature


def test_clip_embeds_once_for_all_its_metrics(judges, pictures, monkeypatch):
    from panollava.evaluation import image_models
    from panollava.evaluation.model_scores import ModelPaths, model_metrics

    made = []
    real = image_models.ClipModel
    monkeypatch.setattr(image_models, "ClipModel", lambda path: made.append(path) or real(path))
    items = check_items(["a dog"], ["a cat"], images=["a.png"])
    prepared = model_metrics(ModelPaths(clip=judges["clip"]), folder=pictures)
    score_items(items, metrics=["clip_score", "ref_clip_score", "clip_score_max"], prepared=prepared)
    assert len(made) == 1


def test_dino_compares_pictures_face_by_face_with_no_crop(judges, pictures):
    items = check_items(["x", "x"], ["y", "y"], images=["a.png", "a.png"])
    items = replace(items, cells={"reference_image": (("a.png",), ("b.png",))})
    result = score("dino_similarity", {"dino": judges["dino"]}, folder=pictures, items=items)
    assert result.per_item[0] == pytest.approx(1.0, abs=1e-6)
    assert result.per_item[1] < 0.999
    assert "|views:cubemap4|crop:no|" in result.signature


def test_the_left_edge_of_a_panorama_reaches_dino(judges, pictures):
    """A centre crop would not see what lies behind."""
    from PIL import Image

    from panollava.evaluation.image_models import DinoModel

    changed = Image.open(pictures / "a.png").copy()
    changed.paste((255, 0, 0), (0, 24, 10, 40))
    changed.save(pictures / "changed.png")
    model = DinoModel(judges["dino"])
    before, after = model.views(pictures / "a.png"), model.views(pictures / "changed.png")
    assert [not np.allclose(x, y, atol=1e-4) for x, y in zip(before, after, strict=True)] == [False, False, True, False]


@pytest.mark.parametrize(
    ("name", "models", "more", "message"),
    [
        ("clip_score", {"clip": "clip"}, {}, "needs the column image_path"),
        ("clip_score", {"clip": "clip"}, {"images": ["gone.png"] * 5}, r"cannot be read.*gone\.png"),
        ("dino_similarity", {"dino": "dino"}, {"images": ["a.png"] * 5}, "columns image_path and reference_image"),
        ("clip_score", {"clip": "dino"}, {"images": ["a.png"] * 5}, r"evaluation\.models\.clip"),
        ("clip_score", {}, {}, "needs the weights of CLIP"),
        ("bert_score", {"bert": "/no/such/folder"}, {}, r"'/no/such/folder' of evaluation\.models\.bert .*cannot be"),
    ],
)
def test_what_is_missing_is_said(judges, pictures, name, models, more, message):
    models = {key: judges.get(value, value) for key, value in models.items()}
    result = score(name, models, folder=pictures, **more)
    assert result.value is None
    assert re.search(message, result.reason), result.reason


def test_an_encoder_without_a_class_token_is_no_dino(tmp_path):
    from transformers import SiglipVisionConfig, SiglipVisionModel

    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    SiglipVisionModel(SiglipVisionConfig(**size, image_size=16, patch_size=8)).save_pretrained(tmp_path)
    items = check_items(["x"], ["y"], images=["a.png"])
    items = replace(items, cells={"reference_image": (("a.png",),)})
    assert "no CLS token" in score("dino_similarity", {"dino": str(tmp_path)}, items=items).reason


def test_a_model_is_named_by_its_weights(judges, tmp_path):
    from panollava.evaluation.score_models import weights_signature
    from panollava.models.hub import Pretrained

    name = weights_signature(Pretrained("bert", Path(judges["bert"])))
    assert name == weights_signature(Pretrained("bert", save_bert(tmp_path / "bert")))
    (tmp_path / "bert" / "model.safetensors").write_bytes(b"other")
    assert name != weights_signature(Pretrained("bert", tmp_path / "bert"))
    assert weights_signature(Pretrained("owner/bert", tmp_path, "0123456789" * 4)) == "owner/bert@01234567"


def test_roberta_reads_fewer_tokens_than_its_table_has_places(tmp_path):
    from transformers import RobertaConfig, RobertaModel

    from panollava.evaluation.text_models import TokenModel

    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    model = RobertaModel(RobertaConfig(vocab_size=40, max_position_embeddings=10, pad_token_id=0, **size))
    model.save_pretrained(tmp_path)
    save_tokenizer(tmp_path, opening="<s>", closing="</s>")
    (text,) = TokenModel(str(tmp_path), layer=1).embed(["a dog " * 20])
    assert len(text.ids) == 9


def test_words_for_models_are_checked():
    from panollava.evaluation.model_scores import ModelPaths, parse_models

    assert parse_models(["clip=a=b", "bert_layer=9"]) == ModelPaths(clip="a=b", bert_layer=9)
    for words, message in (
        (["clip"], "write NAME=PATH"),
        (["clipp=x"], "Did you mean 'clip'"),
        (["bert_layer=x"], "a number from 1"),
    ):
        with pytest.raises(MetricError, match=message):
            parse_models(words)


def test_every_metric_of_the_table_can_be_made():
    from panollava.evaluation.model_scores import ModelPaths, model_metrics

    assert set(model_metrics(ModelPaths("a", "b", "c", "d"), folder=Path())) == set(LEARNED)
    assert model_metrics(ModelPaths(), folder=Path()) == {}
