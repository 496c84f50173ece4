import random

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer

from panollava.metrics.rouge import coco_rouge_l, lcs_lengths, rouge_corpus, rouge_l, rouge_tokens, stemmed

from .official import official, random_captions

COCO = official("coco")


def score(predictions, references, *, stems=False):
    change = stemmed if stems else list
    return rouge_l(change(rouge_corpus(predictions)), [change(rouge_corpus(group)) for group in references])


@pytest.mark.parametrize("stems", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_equals_rouge_score_with_several_references(seed, stems):
    predictions, references = random_captions(seed, 80)
    scorer = RougeScorer(["rougeL"], use_stemmer=stems)
    theirs = [
        scorer.score_multi(group, text)["rougeL"].fmeasure for text, group in zip(predictions, references, strict=True)
    ]
    np.testing.assert_array_equal(score(predictions, references, stems=stems), theirs)


@pytest.mark.parametrize("seed", range(2))
def test_tokens_of_a_corpus_are_those_of_its_texts_and_of_rouge_score(seed):
    from rouge_score.tokenize import tokenize

    letters = [
        "a",
        "B",
        "9",
        ".",
        "-",
        "\n",
        "\r",
        " ",
        "\u2028",
        "\u212a",
        "\u0130",
        "\u00e9",
        "\uc18c",
        "\u03a3",
        "?",
    ]
    draw = random.Random(seed)
    texts = ["".join(draw.choices(letters, k=draw.randint(0, 12))) for _ in range(3000)]
    assert rouge_corpus(texts) == [tokenize(text, None) for text in texts] == [rouge_tokens(text) for text in texts]


def test_no_texts_have_no_tokens():
    assert rouge_corpus([]) == []
    assert stemmed([]) == []


def test_coco_form_equals_pycocoevalcap():
    scores = coco_rouge_l(COCO["prediction_tokens"], COCO["reference_tokens"])
    assert scores.tolist() == COCO["rouge_per_item"]


def test_coco_form_takes_best_precision_and_best_recall_from_different_references():
    # precision 1 from the long reference, recall 1 from the short one: together a perfect score
    assert coco_rouge_l(["a b"], [["a b c d", "a"]]).tolist() == [1.0]


def test_coco_form_reads_an_empty_text_as_one_empty_token():
    assert coco_rouge_l(["", "a"], [[""], [""]]).tolist() == [1.0, 0.0]


def test_hangul_has_no_tokens_in_rouge_score_and_scores_zero_there():
    text = "\uc18c\ud30c\uac00 \uc788\ub2e4"
    assert rouge_tokens(text) == []
    assert RougeScorer(["rougeL"]).score(text, text)["rougeL"].fmeasure == 0.0
    assert score([text], [[text]]).tolist() == [0.0]


def test_lcs_equals_the_textbook_table():
    draw = random.Random(0)
    for _ in range(200):
        a, b = (draw.choices("abcd", k=draw.randint(0, 90)) for _ in range(2))
        table = np.zeros((len(a) + 1, len(b) + 1), dtype=int)
        for i, x in enumerate(a):
            for j, y in enumerate(b):
                table[i + 1, j + 1] = table[i, j] + 1 if x == y else max(table[i, j + 1], table[i + 1, j])
        assert lcs_lengths(a, [b]) == [table[-1, -1]]
