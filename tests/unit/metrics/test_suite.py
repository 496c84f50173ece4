import json
import subprocess
import sys

import pytest

from panollava.errors import MetricError
from panollava.metrics import DEFAULT_METRICS, METRICS, compute_text_metrics
from panollava.metrics.answer_metrics import ANSWER_METRICS
from panollava.metrics.learned import LEARNED_METRICS
from panollava.metrics.scene import SCENE_METRICS

from .official import official, random_captions

COCO = official("coco")
HANGUL = "\uc18c\ud30c\uac00 \uc788\ub2e4"
NEEDY = {"meteor_nltk_data", *SCENE_METRICS, *LEARNED_METRICS}  # need data, programs or weights not always there
RUNNABLE = [name for name in METRICS if name not in NEEDY and name not in ANSWER_METRICS] + ["exact_match"]


def test_default_report_has_every_promised_metric_and_spice_missing_with_its_reason(monkeypatch, tmp_path):
    monkeypatch.setenv("PANOLLAVA_CORENLP", str(tmp_path))
    report = compute_text_metrics(COCO["predictions"], COCO["references"])
    assert tuple(report.scores) == DEFAULT_METRICS
    assert report.scores["spice"] is None
    assert "CoreNLP" in report["spice"].reason
    for name in ("bleu4", "meteor", "rougeL", "cider"):
        assert report.scores[name] > 0
        assert report[name].signature
        assert not report[name].reason
    assert report.empty_predictions == 1


def test_end_to_end_values_equal_pycocoevalcaps():
    names = ["cider", "cider_d", "coco_bleu1", "coco_bleu4", "coco_rougeL"]
    report = compute_text_metrics(COCO["predictions"], COCO["references"], metrics=names)
    mean = sum(COCO["cider_per_item"]) / len(COCO["cider_per_item"])
    assert report.scores["cider"] == pytest.approx(mean, abs=1e-12) == report.scores["cider_d"]
    assert report.scores["coco_bleu1"] == COCO["bleu"][0]
    assert report.scores["coco_bleu4"] == COCO["bleu"][3]
    assert report["coco_rougeL"].per_item == tuple(COCO["rouge_per_item"])


@pytest.mark.parametrize("name", RUNNABLE)
def test_an_empty_prediction_scores_zero_and_is_counted(name):
    references = ["a red sofa stands here", "a blue lamp hangs there"]
    full = compute_text_metrics(references, references, metrics=[name])
    half = compute_text_metrics([references[0], ""], references, metrics=[name])
    none = compute_text_metrics(["", " "], references, metrics=[name])
    assert full.scores[name] > half.scores[name] > none.scores[name] == pytest.approx(0.0, abs=1e-12)
    assert (half.empty_predictions, none.empty_predictions) == (1, 2)


@pytest.mark.parametrize("name", RUNNABLE)
def test_scores_of_items_average_to_the_score_where_there_are_any(name):
    predictions, references = random_captions(5, 30)
    result = compute_text_metrics(predictions, references, metrics=[name])[name]
    if result.per_item:
        assert len(result.per_item) == 30
    if result.per_item and not name.startswith("coco_bleu"):
        assert sum(result.per_item) / 30 == pytest.approx(result.value)


def test_an_empty_prediction_does_not_match_a_reference_of_punctuation():
    report = compute_text_metrics(["", "a b"], [".", "a b"], metrics=["coco_rougeL"])
    assert report["coco_rougeL"].per_item == (0.0, 1.0)


def test_signatures_name_what_must_be_equal():
    report = compute_text_metrics(["a", "b"], [["a"], ["b", "c"]])
    assert report["bleu4"].signature.startswith("nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert "tok:ptb-py|idf:references-2|clip:yes|sigma:6" in report["cider"].signature
    assert "wordnet:3.0" in report["meteor"].signature
    assert report["rougeL"].signature.startswith("nrefs:var|case:lc|tok:rouge|stem:no|version:")


def test_hangul_is_missing_with_a_reason_and_scores_with_its_own_tokenizer():
    report = compute_text_metrics([HANGUL], [HANGUL], metrics=["rougeL", "meteor"])
    assert report.scores == {"rougeL": None, "meteor": None}
    assert "drops every letter of 100% of the references" in report["rougeL"].reason
    assert "English" in report["meteor"].reason
    report = compute_text_metrics([HANGUL], [HANGUL], metrics=["rougeL", "bleu4"], tokenizer="char")
    assert report.scores == {"rougeL": 1.0, "bleu4": 1.0}
    assert "tok:char" in report["rougeL"].signature


def test_a_few_unreadable_references_are_remarked_on():
    report = compute_text_metrics(["a", "b", "c"], ["a", "b", HANGUL], metrics=["rougeL"])
    assert report.scores["rougeL"] == pytest.approx(2 / 3)
    assert "33.3% of the references" in report["rougeL"].note


def test_cider_of_one_item_is_zero_and_says_why():
    result = compute_text_metrics(["a b"], ["a b"], metrics=["cider"])["cider"]
    assert (result.value, "every IDF" in result.note) == (0.0, True)


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (["blue4"], "unknown metric 'blue4'. Did you mean 'bleu4'?"),
        ([], "name at least one metric"),
        (["cider", "cider"], "each once"),
    ],
)
def test_metric_names_are_checked(metrics, message):
    with pytest.raises(MetricError, match=message.replace("?", r"\?")):
        compute_text_metrics(["a"], ["a"], metrics=metrics)


def test_two_runs_give_the_same_text():
    predictions, references = random_captions(3, 50)
    names = list(METRICS)
    first = compute_text_metrics(predictions, references, metrics=names).to_json()
    script = (
        "import sys, json; from panollava.metrics import compute_text_metrics\n"
        "p, r, m = json.load(sys.stdin)\n"
        "sys.stdout.write(compute_text_metrics(p, r, metrics=m).to_json())"
    )
    data = json.dumps([predictions, references, names])
    other = subprocess.run([sys.executable, "-c", script], input=data, capture_output=True, text=True, check=True)
    assert other.stdout == first
    assert json.loads(first)["metrics"]["spice"]["value"] is None


def test_table_rows_show_missing_never_zero():
    rows = compute_text_metrics(["a"], ["a"], metrics=["rougeL", "spice"]).table_rows()
    assert [(row["mark"], row["value"]) for row in rows] == [("ok", "1.000000"), ("missing", "missing")]


def test_importing_the_metrics_imports_neither_torch_nor_nltk():
    script = (
        "import sys, panollava.metrics\n"
        "heavy = {'torch', 'nltk', 'transformers', 'sacrebleu', 'pandas'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_scoring_does_not_import_torch_either():
    script = (
        "import sys; from panollava.metrics import METRICS, compute_text_metrics\n"
        "names = [name for name in METRICS if name != 'spice_lite']  # spaCy imports torch where it finds it\n"
        "compute_text_metrics(['a b'], ['a c'], metrics=names); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
