"""``panollava score`` with metrics that need a program or weights: what runs, what is missing, and the exit status."""

import json
import os

import pytest

from panollava.cli.program import main

TEXT = """image_path,original_query,prediction,reference
a.png,what?,a red sofa,a red couch
b.png,what?,a dog,a dog
"""


@pytest.fixture
def predictions(tmp_path, monkeypatch):
    monkeypatch.delenv("PANOLLAVA_CORENLP", raising=False)
    monkeypatch.setenv("PANOLLAVA_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "predictions.csv"
    path.write_text(TEXT, encoding="utf-8")
    return path


def run(predictions, *options):
    out = predictions.parent / "o.json"
    status = main(["score", str(predictions), "--resamples", "0", "--json", str(out), *options])
    return status, json.loads(out.read_text(encoding="utf-8"))["metrics"]


def test_spice_missing_from_the_default_list_is_no_failure(predictions, capsys):
    status, metrics = run(predictions)
    assert status == 0
    assert metrics["spice"]["value"] is None and "panollava metrics install spice" in metrics["spice"]["reason"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("names", ["spice", "rougeL,spice"])
def test_spice_asked_for_is_a_failure_with_the_fix_and_the_rest_is_scored(predictions, capsys, names):
    status, metrics = run(predictions, "--metrics", names)
    assert status == 1
    error = capsys.readouterr().err
    assert error.startswith("error: SPICE was asked for and cannot run: ")
    assert "panollava metrics install spice" in error
    assert "rougeL" not in names or metrics["rougeL"]["value"] > 0


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for java is a POSIX script")
def test_spice_runs_where_everything_is_there(predictions, tmp_path, monkeypatch):
    import importlib.util
    from pathlib import Path

    place = Path(__file__).parents[1] / "metrics" / "spice_stand_ins.py"
    spec = importlib.util.spec_from_file_location("spice_stand_ins", place)
    stand_ins = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stand_ins)
    monkeypatch.setenv("PANOLLAVA_CORENLP", str(tmp_path))
    monkeypatch.setenv("PANOLLAVA_SPICE_MEMORY", "321m")
    stand_ins.write_corenlp(tmp_path)
    stand_ins.install_package(monkeypatch, tmp_path)
    calls = stand_ins.install_java(monkeypatch, tmp_path, stand_ins.COUNTING)
    status, metrics = run(predictions, "--metrics", "spice")
    assert status == 0
    assert metrics["spice"]["value"] == pytest.approx((2 / 3 + 1) / 2)
    assert "|tok:ptb-py|spice:1.0|corenlp:3.6.0|" in metrics["spice"]["signature"]
    assert "-Xmx321m" in calls.read_text()


def test_a_time_limit_that_is_no_number_is_named(predictions, monkeypatch):
    monkeypatch.setenv("PANOLLAVA_SPICE_TIMEOUT_S", "soon")
    assert "PANOLLAVA_SPICE_TIMEOUT_S is 'soon'" in run(predictions)[1]["spice"]["reason"]


def test_scene_graphs_are_read_from_english_only(predictions):
    predictions.write_text("prediction,reference\n\uc18c\ud30c,\uc18c\ud30c\n", encoding="utf-8")
    reason = "reads English, and most references have no letter of a-z"
    assert reason in run(predictions)[1]["spice"]["reason"]


def test_weights_that_are_given_add_their_metrics(predictions, tmp_path):
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=9, max_position_embeddings=16, **size)).save_pretrained(tmp_path / "bert")
    words = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "red", "sofa", "couch", "dog"])}
    save_words(PreTrainedTokenizerFast, words, tmp_path / "bert")
    status, metrics = run(predictions, "--model", f"sbert={tmp_path / 'bert'}")
    assert status == 0
    assert 0 < metrics["sbert_similarity"]["value"] <= 1
    assert "spice" in metrics and "clip_score" not in metrics


def save_words(kind, words, folder):
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    kind(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metrics", "clip_score"], "Give a folder or a hub id: --model clip=PATH"),
        (["--metrics", "bert_score", "--model", "bert=/no/such/folder"], "'/no/such/folder' of evaluation.models.bert"),
    ],
)
def test_weights_that_are_missing_are_named(predictions, capsys, options, message):
    assert run(predictions, *options)[0] == 1
    assert message in capsys.readouterr().err


def test_a_model_of_another_name_is_an_error(predictions, capsys):
    assert main(["score", str(predictions), "--model", "clippy=x"]) == 1
    assert "unknown model 'clippy'. Did you mean 'clip'?" in capsys.readouterr().err
