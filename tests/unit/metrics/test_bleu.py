import random

import numpy as np
import pytest
import sacrebleu

from panollava.errors import MetricError
from panollava.metrics.bleu import (
    SACREBLEU_VERSION,
    BleuCounts,
    coco_bleu,
    coco_bleu_of,
    sacrebleu_bleu,
    sacrebleu_of,
)
from panollava.metrics.ngrams import NgramTable
from panollava.metrics.tokens_13a import tokens_13a

from .official import official, random_captions

COCO = official("coco")


def official_bleu(predictions, references, *, tokenizer="13a", order=4):
    width = max(map(len, references))
    streams = [[group[i] if i < len(group) else None for group in references] for i in range(width)]
    metric = sacrebleu.BLEU(tokenize=tokenizer, max_ngram_order=order, force=True)
    score = metric.corpus_score(predictions, streams)
    return score, str(score), str(metric.get_signature())


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("tokenizer", ["13a", "intl", "char"])
def test_sacrebleu_on_ragged_references_is_sacrebleus_own_score_text_and_signature(tokenizer, order):
    predictions, references = random_captions(1, 60)
    score, text, signature = official_bleu(predictions, references, tokenizer=tokenizer, order=order)
    ours = sacrebleu_bleu(predictions, references, tokenizer=tokenizer, order=order)
    assert ours.value == score.score / 100
    assert ours.text == text
    assert ours.signature.rpartition(":")[0] == signature.rpartition(":")[0]
    if sacrebleu.__version__ == SACREBLEU_VERSION:
        assert ours.signature == signature


@pytest.mark.parametrize("seed", range(60))
def test_small_corpora_where_smoothing_and_brevity_matter(seed):
    predictions, references = random_captions(seed, 1 + seed % 3)
    predictions = [text[: seed % 17] for text in predictions]
    for order in (1, 2, 3, 4):
        score, text, _ = official_bleu(predictions, references, order=order)
        ours = sacrebleu_bleu(predictions, references, order=order)
        assert (ours.text, ours.value) == (text, min(score.score / 100, 1.0))


@pytest.mark.parametrize("seed", range(4))
def test_tokens_13a_on_hard_lines_are_sacrebleus(seed):
    parts = ["a", "B", "9", "0", ".", ",", "-", "\n", "-\n", " ", "  ", "&", "&amp;", "&lt;", "&quot;", "&amp;lt;"]
    parts += ["<skipped>", "<", "!", "\u2028", "\r", "\xa0", "/", "~", "`", "'", "(", "1.5", "\u00e9", "\uc18c"]
    parts += ["\u0663", '"', "\x1c", "\x85", "_", "|", "{"]
    draw = random.Random(seed)
    lines = ["".join(draw.choices(parts, k=draw.randint(0, 14))) for _ in range(5000)]
    split = sacrebleu.BLEU(tokenize="13a").tokenizer
    assert tokens_13a(lines) == [split(line.rstrip()).split() for line in lines]


def test_no_texts_have_no_tokens():
    assert tokens_13a([]) == []
    assert tokens_13a([""]) == [[]]


def test_identical_texts_score_one_and_no_more():
    assert sacrebleu_bleu(["a red chair stands here"], [["a red chair stands here"]]).value == 1.0


def test_only_empty_predictions_score_zero():
    assert sacrebleu_bleu(["", ""], [["a"], ["b"]]).value == 0.0


def test_coco_bleu_equals_pycocoevalcap():
    predictions = [text.split() for text in COCO["prediction_tokens"]]
    references = [[text.split() for text in group] for group in COCO["reference_tokens"]]
    corpus, per_item = coco_bleu(predictions, references)
    assert corpus == COCO["bleu"]
    np.testing.assert_array_equal(per_item.T, COCO["bleu_per_item"])


def test_the_shorter_of_two_equally_near_references_counts():
    counts = BleuCounts.of(NgramTable.of([["a"] * 4, ["a"]], [[["a"] * 6, ["a"] * 2], [["b"] * 9]]))
    assert counts.reference_length.tolist() == [2, 9]


def test_counts_of_some_items_score_as_those_items_alone():
    predictions, references = random_captions(2, 40)
    said, given = [text.split() for text in predictions], [[text.split() for text in group] for group in references]
    counts = BleuCounts.of(NgramTable.of(said, given))
    some = [3, 7, 7, 20]
    rows = BleuCounts(
        *(field[some] for field in (counts.correct, counts.total, counts.length)), counts.reference_length[some]
    )
    alone = BleuCounts.of(NgramTable.of([said[i] for i in some], [given[i] for i in some]))
    assert sacrebleu_of(rows).text == sacrebleu_of(alone).text
    np.testing.assert_array_equal(coco_bleu_of(rows.summed()), coco_bleu_of(alone.summed()))


def test_unknown_tokenizer_names_the_choices():
    with pytest.raises(MetricError, match=r"unknown tokenizer 'int1'\. Did you mean 'intl'\?"):
        sacrebleu_bleu(["a"], [["a"]], tokenizer="int1")
