"""No silent zero for texts in another script than Latin, and no equality that is none."""

import pytest

from panollava.metrics import METRICS, compute_text_metrics
from panollava.metrics.accuracy import exact_match, normalize_answer

TEXTS = {
    "korean": (
        "\ube68\uac04 \uc18c\ud30c\uac00 \ucc3d\ubb38 \uc606\uc5d0 \uc788\ub2e4",
        "\ucc3d\ubb38 \uc606\uc5d0 \ube68\uac04 \uc18c\ud30c\uac00 \uc788\ub2e4",
    ),
    "japanese": (
        "\u7a93\u306e\u305d\u3070\u306b\u8d64\u3044\u30bd\u30d5\u30a1\u304c\u3042\u308b",
        "\u8d64\u3044\u30bd\u30d5\u30a1\u304c\u7a93\u306e\u305d\u3070\u306b\u3042\u308b",
    ),
    "arabic": (
        "\u0623\u0631\u064a\u0643\u0629 \u062d\u0645\u0631\u0627\u0621 \u0628\u062c\u0627\u0646\u0628 "
        "\u0627\u0644\u0646\u0627\u0641\u0630\u0629",
        "\u0628\u062c\u0627\u0646\u0628 \u0627\u0644\u0646\u0627\u0641\u0630\u0629 "
        "\u0623\u0631\u064a\u0643\u0629 \u062d\u0645\u0631\u0627\u0621",
    ),
    "hindi": (
        "\u0916\u093f\u0921\u093c\u0915\u0940 \u0915\u0947 \u092a\u093e\u0938 \u0932\u093e\u0932 "
        "\u0938\u094b\u092b\u093c\u093e \u0939\u0948",
        "\u0932\u093e\u0932 \u0938\u094b\u092b\u093c\u093e \u0916\u093f\u0921\u093c\u0915\u0940 "
        "\u0915\u0947 \u092a\u093e\u0938 \u0939\u0948",
    ),
}
ENGLISH_ONLY = ("meteor", "spice", "spice_lite")


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("tokenizer", ["char", "intl", "none"])
def test_a_tokenizer_for_the_language_gives_every_general_metric_a_score(language, tokenizer):
    prediction, reference = TEXTS[language]
    names = ["coco_bleu1", "rougeL", "coco_rougeL", "cider"]
    second = TEXTS["korean" if language != "korean" else "hindi"]
    report = compute_text_metrics([prediction, second[0]], [reference, second[1]], metrics=names, tokenizer=tokenizer)
    if tokenizer == "none" and language == "japanese":  # no spaces: one word, and the words differ
        return
    for result in report.results:
        assert result.value > 0.1, result.name
        assert f"tok:{tokenizer}" in result.signature


@pytest.mark.parametrize("language", TEXTS)
def test_without_one_a_score_is_there_or_missing_with_its_reason_but_never_a_silent_zero(language):
    prediction, _ = TEXTS[language]
    other = TEXTS["korean" if language != "korean" else "hindi"][0]
    names = ["bleu4", "meteor", "rougeL", "cider", "coco_bleu1", "coco_rougeL", "exact_match"]
    names += [name for name in ENGLISH_ONLY if name in METRICS and name not in names]
    report = compute_text_metrics([prediction, other], [prediction, other], metrics=names)
    for result in report.results:
        assert (result.value is None and result.reason) or result.value > 0.2, result
    for name in ENGLISH_ONLY:
        assert name not in METRICS or report.scores[name] is None
    assert report.scores["rougeL"] is None
    assert "Choose a tokenizer for the language" in report["rougeL"].reason


def test_korean_morphemes():
    pytest.importorskip("mecab_ko", reason="the tokenizer ko-mecab needs mecab-ko: ./install_eval_metrics.sh ko")
    prediction, reference = TEXTS["korean"]
    report = compute_text_metrics([prediction], [reference], metrics=["bleu4", "rougeL"], tokenizer="ko-mecab")
    assert 0 < report.scores["bleu4"] < report.scores["rougeL"] < 1
    assert "tok:ko-mecab" in report["bleu4"].signature


def test_vowel_signs_tell_words_apart():
    ki, ka, kya = "\u0915\u0940", "\u0915\u093e", "\u0915\u094d\u092f\u093e"
    assert normalize_answer(ki) == ki != normalize_answer(ka)
    assert exact_match([ki, kya, ka], [[ka], [kya + "?"], [ka + "\u0964"]]).tolist() == [0.0, 1.0, 1.0]
    assert normalize_answer("\u0645\u064f\u0639\u0644\u0651\u0645\u060c") == "\u0645\u064f\u0639\u0644\u0651\u0645"


def test_invisible_joiners_do_not_part_words():
    assert normalize_answer("\u0645\u06cc\u200c\u0631\u0648\u062f") == "\u0645\u06cc\u0631\u0648\u062f"


@pytest.mark.parametrize("mark", ["\r", "\r\n", "\n", "\u2028", "\u2029", "\u0085", "\u000b", "\t"])
def test_line_breaks_of_any_kind_inside_a_caption_are_spaces(mark):
    names = ["bleu4", "meteor", "rougeL", "cider", "coco_bleu4", "coco_rougeL", "exact_match"]
    references = ["a red chair stands here", "two lamps hang over a table"]
    plain = compute_text_metrics(references, references, metrics=names)
    broken = compute_text_metrics([text.replace(" ", mark, 1) for text in references], references, metrics=names)
    assert broken.scores == plain.scores
