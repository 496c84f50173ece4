import json
import subprocess
import sys

import pytest

from panollava.metrics import compute_text_metrics
from panollava.metrics.ngrams import NgramTable
from panollava.metrics.text_metrics import TEXT_METRICS

from .official import official, random_captions

COCO = official("coco")


def test_bleu_of_every_order_is_a_metric_by_name_and_sacrebleus():
    sacrebleu = pytest.importorskip("sacrebleu", reason="sacrebleu is the reference and is not installed")
    predictions, references = random_captions(3, 40)
    width = max(map(len, references))
    streams = [[group[i] if i < len(group) else None for group in references] for i in range(width)]
    names = ["bleu1", "bleu2", "bleu3", "bleu4"]
    for tokenizer in (None, "intl"):
        report = compute_text_metrics(predictions, references, metrics=names, tokenizer=tokenizer)
        for order, name in enumerate(names, start=1):
            metric = sacrebleu.BLEU(max_ngram_order=order, tokenize=tokenizer or "13a", force=True)
            assert report.scores[name] == metric.corpus_score(predictions, streams).score / 100
            assert report[name].signature.split("|")[3] == f"tok:{tokenizer or '13a'}"


def test_coco_bleu_of_every_order_is_a_metric_by_name():
    names = ["coco_bleu1", "coco_bleu2", "coco_bleu3", "coco_bleu4"]
    report = compute_text_metrics(COCO["predictions"], COCO["references"], metrics=names)
    assert [report.scores[name] for name in names] == COCO["bleu"]


def test_rouge_on_stems_says_so_and_scores_higher():
    report = compute_text_metrics(["two chairs standing"], ["two chair stand"], metrics=["rougeL", "rougeL_stem"])
    assert report.scores == {"rougeL": pytest.approx(1 / 3), "rougeL_stem": 1.0}
    assert "stem:no" in report["rougeL"].signature
    assert "stem:porter-nltk" in report["rougeL_stem"].signature


def test_meteor_by_nltk_data_is_missing_without_the_data_and_says_what_to_do(monkeypatch):
    corpus = pytest.importorskip("nltk.corpus", reason="without NLTK another reason is given")

    class Absent:
        def ensure_loaded(self):
            raise LookupError("no corpora/wordnet")

    monkeypatch.setattr(corpus, "wordnet", Absent())
    result = compute_text_metrics(["a sofa"], ["a couch"], metrics=["meteor_nltk_data"])["meteor_nltk_data"]
    assert result.value is None
    assert "NLTK_DATA" in result.reason


def test_ngrams_are_counted_once_per_tokenizer(monkeypatch):
    counted = []
    count = NgramTable.of.__func__

    def counting(cls, *args):
        counted.append(len(args[0]))
        return count(cls, *args)

    monkeypatch.setattr(NgramTable, "of", classmethod(counting))
    names = [name for name in TEXT_METRICS if "bleu" in name or "cider" in name]
    compute_text_metrics(["a b", "c"], ["a", "c d"], metrics=names)
    assert counted == [2, 2]  # 13a with case, and PTB


def test_the_default_forms_need_none_of_the_packages_they_are_held_to():
    names = [name for name in TEXT_METRICS if name != "meteor_nltk_data"]
    script = (
        "import sys, json; from panollava.metrics import compute_text_metrics\n"
        "report = compute_text_metrics(['a sofa runs'], ['a couch ran'], metrics=json.loads(sys.argv[1]))\n"
        "assert None not in report.scores.values()\n"
        "print(sorted({'nltk', 'sacrebleu', 'rouge_score', 'pycocoevalcap', 'scipy', 'torch'} & set(sys.modules)))"
    )
    words = [sys.executable, "-c", script, json.dumps(names)]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip() == "[]"
