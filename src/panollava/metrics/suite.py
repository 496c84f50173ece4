"""The metrics by name, and the one call that scores predictions with several of them.

A metric that cannot run is missing, with its reason; no other number takes its place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from panollava.errors import MetricError, MetricUnavailable, unknown_name
from panollava.metrics.answer_metrics import ANSWER_METRICS
from panollava.metrics.custom import from_entry_point, installed
from panollava.metrics.items import Items, check_items
from panollava.metrics.learned import LEARNED_METRICS
from panollava.metrics.metric import Metric, mean_totals
from panollava.metrics.ptb_jar import OFFICIAL_PTB, count_broken
from panollava.metrics.result import MetricReport, MetricResult
from panollava.metrics.scene import SCENE_METRICS
from panollava.metrics.text_metrics import TEXT_METRICS
from panollava.metrics.tokens import TokenTable

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
        tokenizer: a sacrebleu tokenizer (intl, char, ko-mecab, ...) for all metrics that use one; "ptb" for the
            official Java program where a metric reads Penn Treebank tokens; each metric's own when absent.
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
    chosen = OFFICIAL_PTB if tokenizer == "ptb" else tokenizer
    results = tuple(_remarked(_score(name, table[name], items, tokens, chosen), items) for name in metrics)
    return MetricReport(
        results,
        items.protocol,
        len(items.predictions),
        items.rows,
        items.empty_predictions,
        items.repeated_rows,
        len(set(items.images)),
    )


def _remarked(result: MetricResult, items: Items) -> MetricResult:
    """Add what the official tokenizer did to texts with line breaks, to the results that used it."""
    if f"tok:{OFFICIAL_PTB}|" not in result.signature:
        return result
    count = count_broken([*items.predictions, *(text for group in items.references for text in group)])
    if not count:
        return result
    remark = f"{count} {'text holds' if count == 1 else 'texts hold'} a line break, read as a space"
    return replace(result, note="; ".join(filter(None, [result.note, remark])))


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


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        **TEXT_METRICS,
        "spice": SCENE_METRICS["spice"],
        "spice_lite": SCENE_METRICS["spice_lite"],
        **ANSWER_METRICS,
        **LEARNED_METRICS,
    }
)
