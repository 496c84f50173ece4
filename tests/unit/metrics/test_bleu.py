import numpy as np
import pytest
import sacrebleu

from panollava.errors import MetricError
from panollava.metrics.bleu import coco_bleu, sacrebleu_bleu4

from .official import official, random_captions

COCO = official("coco")


@pytest.mark.parametrize("tokenizer", ["13a", "intl", "char"])
def test_sacrebleu_on_ragged_references_is_sacrebleus_own_score_text_and_signature(tokenizer):
    predictions, references = random_captions(1, 60)
    width = max(map(len, references))
    streams = [[group[i] if i < len(group) else None for group in references] for i in range(width)]
    metric = sacrebleu.BLEU(tokenize=tokenizer)
    theirs = metric.corpus_score(predictions, streams)
    ours = sacrebleu_bleu4(predictions, references, tokenizer=tokenizer)
    assert ours.value == theirs.score / 100
    assert ours.text == str(theirs)
    assert ours.signature == str(metric.get_signature())


def test_identical_texts_score_one_and_no_more():
    assert sacrebleu_bleu4(["a red chair stands here"], [["a red chair stands here"]]).value == 1.0


def test_only_empty_predictions_score_zero():
    assert sacrebleu_bleu4(["", ""], [["a"], ["b"]]).value == 0.0


def test_coco_bleu_equals_pycocoevalcap():
    predictions = [text.split() for text in COCO["prediction_tokens"]]
    references = [[text.split() for text in group] for group in COCO["reference_tokens"]]
    corpus, per_item = coco_bleu(predictions, references)
    assert corpus == COCO["bleu"]
    np.testing.assert_array_equal(per_item.T, COCO["bleu_per_item"])


def test_unknown_tokenizer_names_the_choices():
    with pytest.raises(MetricError, match=r"unknown tokenizer 'int1'\. Did you mean 'intl'\?"):
        sacrebleu_bleu4(["a"], [["a"]], tokenizer="int1")
