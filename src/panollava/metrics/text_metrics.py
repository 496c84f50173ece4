"""The metrics of captions, BLEU, METEOR, ROUGE-L and CIDEr in their official forms, as entries of ``suite.py``."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from panollava.errors import MetricUnavailable
from panollava.metrics.bleu import BleuCounts, coco_bleu_of, sacrebleu_bleu, sacrebleu_of
from panollava.metrics.bleu_totals import coco_totals, sacrebleu_totals
from panollava.metrics.cider import cider_of
from panollava.metrics.items import Items
from panollava.metrics.meteor import meteor
from panollava.metrics.metric import Metric, Outcome
from panollava.metrics.rouge import coco_rouge_l, rouge_l, stemmed
from panollava.metrics.signature import make_signature, reference_count
from panollava.metrics.tokens import Tokens, TokenTable, choose_tokenizer, unreadable_share
from panollava.metrics.wordnet_nltk import load_nltk_wordnet

Run = Callable[[Items, TokenTable, str | None], Outcome]
_LATIN = re.compile("[A-Za-z]")


def _mean(per_item: NDArray[np.float64], signature: str, note: str = "") -> Outcome:
    return Outcome(float(np.mean(per_item)), signature, tuple(per_item.tolist()), note)


def _fields(items: Items, tokenizer: str, more: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the signature of a lower-cased metric: references, case, tokenizer, then what it adds."""
    return make_signature({"nrefs": reference_count(items.references), "case": "lc", "tok": tokenizer, **more})


def _readable(items: Items, references: list[Tokens], tokenizer: str, *, label: str) -> str:
    """Return a remark on references whose letters the tokenizer drops; refuse when they are the majority."""
    texts = [text for group in items.references for text in group]
    share = unreadable_share(texts, tokens=[tokens for group in references for tokens in group])
    if share > 0.5:
        raise MetricUnavailable(
            f"{label}'s tokenizer '{tokenizer}' drops every letter of {share:.0%} of the references, so the"
            " score would be 0 whatever the predictions say. Choose a tokenizer for the language: intl, char,"
            " ko-mecab."
        )
    return f"{share:.1%} of the references have no letter that tokenizer '{tokenizer}' keeps" if share else ""


def _bleu(order: int) -> Run:
    def run(items: Items, tokens: TokenTable, tokenizer: str | None) -> Outcome:
        name = choose_tokenizer(tokenizer, default="13a")
        counts = BleuCounts.of(tokens.ngrams(name, cased=True))
        if name == "13a":
            score = sacrebleu_of(counts, order=order, nrefs=reference_count(items.references))
        else:
            score = sacrebleu_bleu(items.predictions, items.references, order=order, tokenizer=name)
        return Outcome(score.value, score.signature, totals=sacrebleu_totals(counts, order=order))

    return run


def _coco_bleu(order: int) -> Run:
    def run(items: Items, tokens: TokenTable, tokenizer: str | None) -> Outcome:
        name = tokenizer or "ptb-py"
        counts = BleuCounts.of(tokens.ngrams(name))
        value, per_item = coco_bleu_of(counts.summed())[0, order - 1], coco_bleu_of(counts)[:, order - 1]
        signature = _fields(items, name, {"len": "closest", "smooth": "none"})
        return Outcome(float(value), signature, tuple(per_item.tolist()), totals=coco_totals(counts, order=order))

    return run


def _meteor(items: Items, tokens: TokenTable, tokenizer: str | None) -> Outcome:
    name = tokenizer or "ptb-py"
    _check_english(items)
    more = {"lang": "en", "stem": "porter-nltk", "wordnet": "3.0"}
    return _mean(meteor(*tokens(name)), _fields(items, name, more))


def _meteor_nltk_data(items: Items, tokens: TokenTable, tokenizer: str | None) -> Outcome:
    name = tokenizer or "ptb-py"
    _check_english(items)
    wordnet = load_nltk_wordnet()
    more = {"lang": "en", "stem": "porter-nltk", "wordnet": f"nltk_data-{wordnet.version}"}
    return _mean(meteor(*tokens(name), wordnet=wordnet), _fields(items, name, more))


def _check_english(items: Items) -> None:
    latin = [_LATIN.search(text) is not None for group in items.references for text in group]
    if 2 * sum(latin) < len(latin):
        raise MetricUnavailable(
            "METEOR's stemmer and WordNet are English, and most references have no letter of a-z."
            " Leave it out for this language: --metrics bleu4,rougeL,cider."
        )


def _rouge_l(items: Items, tokens: TokenTable, tokenizer: str | None) -> Outcome:
    name = choose_tokenizer(tokenizer, default="rouge")
    predictions, references = tokens(name)
    note = _readable(items, references, name, label="ROUGE-L")
    return _mean(rouge_l(predictions, references), _fields(items, name, {"stem": "no"}), note)


def _rouge_l_stem(items: Items, tokens: TokenTable, tokenizer: str | None) -> Outcome:
    name = choose_tokenizer(tokenizer, default="rouge")
    predictions, references = tokens(name)
    note = _readable(items, references, name, label="ROUGE-L")
    rest = iter(stemmed([words for group in references for words in group]))
    scores = rouge_l(stemmed(predictions), [[next(rest) for _ in group] for group in references])
    return _mean(scores, _fields(items, name, {"stem": "porter-nltk"}), note)


def _coco_rouge_l(items: Items, tokens: TokenTable, tokenizer: str | None) -> Outcome:
    name = tokenizer or "ptb-py"
    predictions, references = tokens(name)
    texts = [[" ".join(words) for words in group] for group in references]
    scores = coco_rouge_l([" ".join(words) for words in predictions], texts)
    said = np.array([bool(text.strip()) for text in items.predictions])  # "" would match a reference of only "."
    return _mean(scores * said, _fields(items, name, {"beta": "1.2"}))


def _cider(*, clip: bool, sigma: float | None) -> Run:
    def run(items: Items, tokens: TokenTable, tokenizer: str | None) -> Outcome:
        name = tokenizer or "ptb-py"
        scores = cider_of(tokens.ngrams(name), clip=clip, sigma=sigma)
        more = {"idf": f"references-{len(items.predictions)}", "clip": "yes" if clip else "no"}
        more["sigma"] = "none" if sigma is None else f"{sigma:g}"
        note = "one item: every IDF is log(1/1) = 0, so CIDEr is 0" if len(scores) == 1 else ""
        return _mean(scores, _fields(items, name, more), note)

    return run


TEXT_METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        **{f"bleu{n}": Metric(f"BLEU-{n}", "sacrebleu-compatible", _bleu(n)) for n in (1, 2, 3, 4)},
        "meteor": Metric("METEOR", "NLTK-compatible", _meteor),
        "meteor_nltk_data": Metric("METEOR (nltk_data)", "NLTK-compatible", _meteor_nltk_data),
        "rougeL": Metric("ROUGE-L", "rouge-score-compatible", _rouge_l),
        "rougeL_stem": Metric("ROUGE-L (stems)", "rouge-score-compatible", _rouge_l_stem),
        "cider": Metric("CIDEr", "pycocoevalcap-compatible", _cider(clip=True, sigma=6.0)),
        "cider_d": Metric("CIDEr-D", "pycocoevalcap-compatible", _cider(clip=True, sigma=6.0)),
        "cider_plain": Metric("CIDEr (plain)", "Vedantam 2015", _cider(clip=False, sigma=None)),
        **{
            f"coco_bleu{n}": Metric(f"BLEU-{n} (COCO)", "pycocoevalcap-compatible", _coco_bleu(n)) for n in (1, 2, 3, 4)
        },
        "coco_rougeL": Metric("ROUGE-L (COCO)", "pycocoevalcap-compatible", _coco_rouge_l),
    }
)
