"""Metrics of short answers and of likelihoods, as entries of the table in ``suite.py``.

A metric that does not concern an item (a count where the reference names no number) leaves it out, says how many it
scored, and is missing where it concerns none.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from panollava.errors import MetricError, MetricUnavailable
from panollava.metrics.accuracy import exact_match
from panollava.metrics.bearings import TOLERANCE_DEG, sector_hits, yaw_errors_deg
from panollava.metrics.items import Items
from panollava.metrics.metric import Floats, Metric, Outcome, Totals, mean_totals, ratio
from panollava.metrics.numeric import number_errors, number_hits
from panollava.metrics.perplexity import perplexity
from panollava.metrics.signature import make_signature, reference_count
from panollava.metrics.tokens import TokenTable
from panollava.metrics.vqa import PEOPLE_NEEDED, unreachable, vqa_accuracy


def _exact_match(items: Items, tokens: TokenTable, tokenizer: str | None) -> Outcome:  # noqa: ARG001
    return _mean(exact_match(items.predictions, items.references), items, {"case": "lc", "norm": "articles-numbers"})


def _vqa(items: Items, tokens: TokenTable, tokenizer: str | None) -> Outcome:  # noqa: ARG001
    for place, people in enumerate(items.references):
        if len(people) < PEOPLE_NEEDED:
            raise MetricUnavailable(
                f"VQA accuracy compares with the answers of at least {PEOPLE_NEEDED} people, officially 10;"
                f" {items.place(place)} has {len(people)}. Give one row per person with the protocol 'grouped', or use"
                " exact_match."
            )
    total, lost = sum(map(len, items.references)), unreachable(items.references)
    if 2 * lost > total:
        raise MetricUnavailable(
            f"the official VQA script does not normalise references, so {lost} of {total} here (capitals, articles,"
            " number words) can match no prediction. Write them in lower case without articles, or use exact_match."
        )
    note = f"{lost} of {total} references are not in normal form and match no prediction" if lost else ""
    others = sum(len(people) != 10 for people in items.references)
    note += ("; " if note and others else "") + (f"{others} items have not 10 answers" if others else "")
    return _mean(vqa_accuracy(items.predictions, items.references), items, {"case": "lc", "norm": "vqa-c4e6a0e"}, note)


def _number_accuracy(items: Items, tokens: TokenTable, tokenizer: str | None) -> Outcome:  # noqa: ARG001
    return _concerned(number_hits(items.predictions, items.references), items, "name one number", {"norm": "number"})


def _number_mae(items: Items, tokens: TokenTable, tokenizer: str | None) -> Outcome:  # noqa: ARG001
    hits = number_hits(items.predictions, items.references)
    errors = number_errors(items.predictions, items.references)
    return _errors(errors, ~np.isnan(hits), items, "number", {"norm": "number"})


def _direction(count: int) -> Callable[[Items, TokenTable, str | None], Outcome]:
    def run(items: Items, tokens: TokenTable, tokenizer: str | None) -> Outcome:  # noqa: ARG001
        hits = sector_hits(items.predictions, items.references, sectors=_sectors(count))
        return _concerned(hits, items, f"name one of {count} directions", {"sectors": str(count)})

    return run


def _direction_deg(items: Items, tokens: TokenTable, tokenizer: str | None) -> Outcome:  # noqa: ARG001
    errors, concerned = yaw_errors_deg(items.predictions, items.references, sectors=_sectors(8))
    hits = np.where(concerned, (errors <= TOLERANCE_DEG).astype(np.float64), np.nan)
    return _concerned(hits, items, "name one direction or angle", {"tol": f"{TOLERANCE_DEG:g}deg"})


def _direction_mae_deg(items: Items, tokens: TokenTable, tokenizer: str | None) -> Outcome:  # noqa: ARG001
    errors, concerned = yaw_errors_deg(items.predictions, items.references, sectors=_sectors(8))
    return _errors(errors, concerned, items, "direction", {"unit": "deg"})


def _perplexity(*, corpus: bool) -> Callable[[Items, TokenTable, str | None], Outcome]:
    def run(items: Items, tokens: TokenTable, tokenizer: str | None) -> Outcome:  # noqa: ARG001
        nll, counts = _likelihoods(items)
        flat = [(loss, count) for pair in zip(nll, counts, strict=True) for loss, count in zip(*pair, strict=True)]
        both = perplexity([loss for loss, _ in flat], token_counts=[count for _, count in flat])
        if not math.isfinite(both.corpus if corpus else both.mean_per_text):
            raise MetricUnavailable("the perplexity is too large for a number. Is 'nll' the sum of a text, in nats?")
        if corpus:
            rows = np.array([[math.fsum(a), float(sum(b))] for a, b in zip(nll, counts, strict=True)])
            return Outcome(
                both.corpus,
                make_signature({"texts": str(len(flat)), "mean": "tokens"}),
                totals=Totals(rows, _exp_ratio),
            )
        each = [
            [math.exp(min(x / n, 700.0)) for x, n in zip(*pair, strict=True)] for pair in zip(nll, counts, strict=True)
        ]
        rows = np.array([[math.fsum(values), float(len(values))] for values in each])
        signature = make_signature({"texts": str(len(flat)), "mean": "texts"})
        return Outcome(both.mean_per_text, signature, tuple(ratio(rows).tolist()), totals=Totals(rows, ratio))

    return run


def _likelihoods(items: Items) -> tuple[list[list[float]], list[list[int]]]:
    """Return the columns ``nll`` and ``tokens`` as numbers, per item one per reference."""
    for name in ("nll", "tokens"):
        if name not in items.cells:
            raise MetricUnavailable(
                f"perplexity needs the column '{name}': nll is the summed negative log-likelihood of a reference in"
                " nats, tokens the number of its scored tokens. Add both columns."
            )
    nll, counts = [], []
    for place in range(len(items.predictions)):
        numbers = items.row_numbers[place] if items.row_numbers else (place + 1,) * len(items.references[place])
        nll.append([_number(t, "nll", row) for t, row in zip(items.cells["nll"][place], numbers, strict=True)])
        counts.append(
            [int(_number(t, "tokens", row)) for t, row in zip(items.cells["tokens"][place], numbers, strict=True)]
        )
    return nll, counts


def _number(text: str, column: str, row: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (column == "tokens" and (value < 1 or value != int(value))):
        allowed = "a whole number from 1" if column == "tokens" else "a finite number"
        raise MetricError(
            f"row {row}, column '{column}': '{text}' is not {allowed}. Leave out rows without scored tokens."
        )
    return value


def _exp_ratio(sums: Floats) -> Floats:
    return np.exp(np.minimum(ratio(sums), 700.0))


def _sectors(count: int) -> tuple[str, ...]:
    from panollava.geometry.sphere import SECTORS4, SECTORS8  # late: geometry imports OpenCV

    return SECTORS4 if count == 4 else SECTORS8


def _mean(scores: NDArray[np.float64], items: Items, fields: Mapping[str, str], note: str = "") -> Outcome:
    signature = make_signature({"nrefs": reference_count(items.references), **fields})
    totals = mean_totals(scores)
    value = float(totals.value(totals.rows.sum(axis=0, keepdims=True))[0])
    return Outcome(value, signature, tuple(scores.tolist()), note, totals)


def _concerned(scores: NDArray[np.float64], items: Items, what: str, fields: Mapping[str, str]) -> Outcome:
    """Return the mean over the items that the metric concerns, with a remark on the others."""
    count = int(np.count_nonzero(~np.isnan(scores)))
    if not count:
        raise MetricUnavailable(f"the references of no item {what}. Leave the metric out.")
    note = f"{count} of {len(scores)} items: the references of the others do not {what}" if count < len(scores) else ""
    return _mean(scores, items, {**fields, "items": str(count)}, note)


def _errors(
    errors: NDArray[np.float64], concerned: NDArray[np.bool_], items: Items, what: str, fields: Mapping[str, str]
) -> Outcome:
    """Return the mean error over the predictions that could be read, with a remark on those that could not."""
    count, read = int(concerned.sum()), int(np.count_nonzero(~np.isnan(errors)))
    if not read:
        why = f"no prediction names one {what}" if count else f"the references of no item name one {what}"
        raise MetricUnavailable(f"{why}, so there is no error to average. Leave the metric out.")
    note = f"mean over the {read} of {count} predictions that name one {what}" if read < count else ""
    return _mean(errors, items, {**fields, "items": str(read)}, note)


ANSWER_METRICS: Mapping[str, Metric] = {
    "exact_match": Metric("Exact match", "panollava", _exact_match),
    "vqa_accuracy": Metric("VQA accuracy", "GT-Vision-Lab-compatible", _vqa),
    "number_accuracy": Metric("Number accuracy", "panollava", _number_accuracy),
    "number_mae": Metric("Number MAE", "panollava", _number_mae, higher_is_better=False),
    "direction4": Metric("Direction, 4 sectors", "panollava", _direction(4)),
    "direction8": Metric("Direction, 8 sectors", "panollava", _direction(8)),
    "direction_deg": Metric("Direction within 22.5 deg", "panollava", _direction_deg),
    "direction_mae_deg": Metric("Direction error, deg", "panollava", _direction_mae_deg, higher_is_better=False),
    "perplexity_corpus": Metric("Perplexity (corpus)", "panollava", _perplexity(corpus=True), higher_is_better=False),
    "perplexity_per_text": Metric(
        "Perplexity (per text)", "Hugging Face evaluate's definition", _perplexity(corpus=False), higher_is_better=False
    ),
}
"""The entries; ``suite.METRICS`` takes them over."""
