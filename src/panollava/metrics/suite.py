"""The metrics by name, and the one call that scores predictions with several of them.

A metric that cannot run is missing, with its reason; no other number takes its place.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from panollava.errors import MetricError, MetricUnavailable, unknown_name
from panollava.metrics.answer_metrics import ANSWER_METRICS
from panollava.metrics.bleu import BleuCounts, coco_bleu_of, sacrebleu_bleu, sacrebleu_of
from panollava.metrics.bleu_totals import coco_totals, sacrebleu_totals
from panollava.metrics.cider import cider
from panollava.metrics.custom import from_entry_point, installed
from panollava.metrics.items import Items, check_items
from panollava.metrics.learned import LEARNED_METRICS
from panollava.metrics.meteor import meteor
from panollava.metrics.metric import Metric, Outcome, mean_totals
from panollava.metrics.ngrams import NgramTable
from panollava.metrics.result import MetricReport, MetricResult
from panollava.metrics.rouge import coco_rouge_l, rouge_l
from panollava.metrics.scene import SCENE_METRICS
from panollava.metrics.signature import make_signature, package_version, reference_count
from panollava.metrics.tokens import Tokens, TokenTable, cased_tokens, unreadable_share

DEFAULT_METRICS = ("bleu4", "meteor", "rougeL", "spice", "cider")


def compute_text_metrics(
    predictions: Sequence[str],
    references: Sequence[str] | Sequence[Sequence[str]],
    *,
    metrics: Sequence[str] = DEFAULT_METRICS,
    tokenizer: str | None = None,
    custom: Mapping[str, Metric] = MappingProxyType({}),
) -> MetricReport:
    """Score predictions against one or several references each.

    Args:
        predictions: one text per item; an empty one scores 0 and is counted.
        references: per item a text, or a sequence of texts.
        metrics: names out of ``METRICS``, in the order of the report.
        tokenizer: a sacrebleu tokenizer (intl, char, ko-mecab, ...) for all metrics that use one; each
            metric's official tokenizer when absent.
        custom: metrics of one's own by name (``custom.load_custom``), which ``metrics`` may name too.

    Raises:
        MetricError: Unusable input (the row is named), an unknown metric or an unknown tokenizer.

    Example:
        >>> report = compute_text_metrics(["a red chair"], ["a chair"], metrics=["rougeL", "spice"])
        >>> report.scores
        {'rougeL': 0.8, 'spice': None}
    """
    return score_items(check_items(predictions, references), metrics=metrics, tokenizer=tokenizer, custom=custom)


def score_items(
    items: Items,
    *,
    metrics: Sequence[str] = DEFAULT_METRICS,
    tokenizer: str | None = None,
    custom: Mapping[str, Metric] = MappingProxyType({}),
    prepared: Mapping[str, Metric] = MappingProxyType({}),
) -> MetricReport:
    """Score checked items; the protocol of the report is theirs. Arguments as ``compute_text_metrics``.

    One is added: ``prepared``, metrics of ours that were given what they need (weights, pictures, settings).
    """
    table = _table(metrics, custom)
    table.update((name, metric) for name, metric in prepared.items() if name in table)
    tokens = TokenTable(items)
    results = tuple(_score(name, table[name], items, tokens, tokenizer) for name in metrics)
    return MetricReport(
        results,
        items.protocol,
        len(items.predictions),
        items.rows,
        items.empty_predictions,
        items.repeated_rows,
        len(set(items.images)),
    )


def _table(metrics: Sequence[str], custom: Mapping[str, Metric]) -> dict[str, Metric]:
    """Return the metrics by name: ours, those given, and those of installed packages; ours cannot be replaced."""
    if not metrics or len(set(metrics)) != len(metrics):
        raise MetricError(f"metrics is {list(metrics)}: name at least one metric, and each once.")
    taken = sorted(METRICS.keys() & custom.keys())
    if taken:
        raise MetricError(f"the name '{taken[0]}' is taken by a metric of panollava. Call your own differently.")
    table = {name: metric for name, metric in {**METRICS, **custom}.items() if name in metrics}
    if len(table) < len(metrics):
        points = installed()
        for name in metrics:
            if name in table:
                continue
            if name not in points:
                raise MetricError(unknown_name("metric", name, [*METRICS, *custom, *points]))
            table[name] = from_entry_point(points[name])
    return table


def _score(name: str, metric: Metric, items: Items, tokens: TokenTable, tokenizer: str | None) -> MetricResult:
    empty = MetricResult(name, metric.label, None, metric.higher_is_better, metric.implementation)
    try:
        outcome = metric.run(items, tokens, tokenizer)
    except MetricUnavailable as error:
        return replace(empty, reason=str(error))
    return replace(
        empty,
        value=outcome.value,
        signature=outcome.signature,
        per_item=outcome.per_item,
        note=outcome.note,
        totals=outcome.totals or (mean_totals(outcome.per_item) if outcome.per_item else None),
    )


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


def _bleu4(items: Items, tokens: TokenTable, tokenizer: str | None) -> Outcome:  # noqa: ARG001
    name = tokenizer or "13a"
    counts = BleuCounts.of(NgramTable.of(*cased_tokens(items, name)))
    if name == "13a":
        score = sacrebleu_of(counts, nrefs=reference_count(items.references))
    else:
        score = sacrebleu_bleu(items.predictions, items.references, tokenizer=name)
    return Outcome(score.value, score.signature, totals=sacrebleu_totals(counts))


def _coco_bleu(order: int) -> Callable[[Items, TokenTable, str | None], Outcome]:
    def run(items: Items, tokens: TokenTable, tokenizer: str | None) -> Outcome:
        name = tokenizer or "ptb-py"
        predictions, references = tokens(name)
        counts = BleuCounts.of(NgramTable.of(_words(predictions), [_words(group) for group in references]))
        value, per_item = coco_bleu_of(counts.summed())[0, order - 1], coco_bleu_of(counts)[:, order - 1]
        signature = _fields(items, name, {"len": "closest", "smooth": "none"})
        return Outcome(float(value), signature, tuple(per_item.tolist()), totals=coco_totals(counts, order=order))

    return run


def _meteor(items: Items, tokens: TokenTable, tokenizer: str | None) -> Outcome:
    name = tokenizer or "ptb-py"
    texts = [text for group in items.references for text in group]
    latin = sum(any("a" <= letter <= "z" for letter in text.lower()) for text in texts)
    if 2 * latin < len(texts):
        raise MetricUnavailable(
            "METEOR's stemmer and WordNet are English, and most references have no letter of a-z."
            " Leave it out for this language: --metrics bleu4,rougeL,cider."
        )
    more = {"lang": "en", "stem": f"porter-nltk-{package_version('nltk')}", "wordnet": "3.0"}
    return _mean(meteor(*tokens(name)), _fields(items, name, more))


def _rouge_l(items: Items, tokens: TokenTable, tokenizer: str | None) -> Outcome:
    name = tokenizer or "rouge"
    predictions, references = tokens(name)
    note = _readable(items, references, name, label="ROUGE-L")
    return _mean(rouge_l(predictions, references), _fields(items, name, {"stem": "no"}), note)


def _coco_rouge_l(items: Items, tokens: TokenTable, tokenizer: str | None) -> Outcome:
    name = tokenizer or "ptb-py"
    predictions, references = tokens(name)
    texts = [[" ".join(words) for words in group] for group in references]
    scores = coco_rouge_l([" ".join(words) for words in predictions], texts)
    said = np.array([bool(text.strip()) for text in items.predictions])  # "" would match a reference of only "."
    return _mean(scores * said, _fields(items, name, {"beta": "1.2"}))


def _cider(*, clip: bool, sigma: float | None) -> Callable[[Items, TokenTable, str | None], Outcome]:
    def run(items: Items, tokens: TokenTable, tokenizer: str | None) -> Outcome:
        name = tokenizer or "ptb-py"
        predictions, references = tokens(name)
        scores = cider(_words(predictions), [_words(group) for group in references], clip=clip, sigma=sigma)
        more = {"idf": f"references-{len(items.predictions)}", "clip": "yes" if clip else "no"}
        more["sigma"] = "none" if sigma is None else f"{sigma:g}"
        note = "one item: every IDF is log(1/1) = 0, so CIDEr is 0" if len(scores) == 1 else ""
        return _mean(scores, _fields(items, name, more), note)

    return run


def _words(tokens: Tokens) -> Tokens:
    """Split tokens at white space: pycocoevalcap does so, and breaks "4<no-break>1/2" in two."""
    return [" ".join(words).split() for words in tokens]


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "bleu4": Metric("BLEU-4", "sacrebleu", _bleu4),
        "meteor": Metric("METEOR", "NLTK-compatible", _meteor),
        "rougeL": Metric("ROUGE-L", "rouge-score-compatible", _rouge_l),
        "spice": SCENE_METRICS["spice"],
        "cider": Metric("CIDEr", "pycocoevalcap-compatible", _cider(clip=True, sigma=6.0)),
        "cider_d": Metric("CIDEr-D", "pycocoevalcap-compatible", _cider(clip=True, sigma=6.0)),
        "cider_plain": Metric("CIDEr (plain)", "Vedantam 2015", _cider(clip=False, sigma=None)),
        "coco_bleu1": Metric("BLEU-1 (COCO)", "pycocoevalcap-compatible", _coco_bleu(1)),
        "coco_bleu2": Metric("BLEU-2 (COCO)", "pycocoevalcap-compatible", _coco_bleu(2)),
        "coco_bleu3": Metric("BLEU-3 (COCO)", "pycocoevalcap-compatible", _coco_bleu(3)),
        "coco_bleu4": Metric("BLEU-4 (COCO)", "pycocoevalcap-compatible", _coco_bleu(4)),
        "coco_rougeL": Metric("ROUGE-L (COCO)", "pycocoevalcap-compatible", _coco_rouge_l),
        "spice_lite": SCENE_METRICS["spice_lite"],
        **ANSWER_METRICS,
        **LEARNED_METRICS,
    }
)
