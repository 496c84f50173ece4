"""Metrics of one's own: a function in a file, or an entry point of an installed package.

A metric is a function of two lists, and returns one score per item or one for all::

    def brevity(predictions: list[str], references: list[list[str]]) -> list[float]:
        return [min(1.0, len(r[0]) / max(1, len(p))) for p, r in zip(predictions, references)]

It is named by ``name=path/to/file.py:function`` (``--custom``, ``evaluation.custom_metrics``), or found under its
name in the entry point group ``panollava.metrics``. Higher is better unless the function has an attribute
``higher_is_better`` that is false. The signature holds a hash of the source file: another source, another metric.

The file's code is run. Name only files that you would run yourself.
"""

import hashlib
import importlib.util
import inspect
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from panollava.errors import MetricError
from panollava.metrics.items import Items
from panollava.metrics.metric import Metric, Outcome, mean_totals
from panollava.metrics.signature import make_signature, reference_count
from panollava.metrics.tokens import TokenTable

GROUP = "panollava.metrics"
Function = Callable[[list[str], list[list[str]]], object]
_FAULTS = (ArithmeticError, AssertionError, AttributeError, LookupError, NameError, OSError, RuntimeError, TypeError,
           ValueError, ImportError)  # fmt: skip


def load_custom(definitions: Iterable[str]) -> dict[str, Metric]:
    """Return the metrics that are defined as ``name=path.py:function``.

    Raises:
        MetricError: A definition of another form, a name used twice, or a file without that function.

    Example:
        >>> load_custom([])
        {}
    """
    found: dict[str, Metric] = {}
    for definition in definitions:
        name, equals, place = definition.partition("=")
        path, colon, function = place.rpartition(":")
        if not (name.isidentifier() and equals and path and colon and function.isidentifier()):
            raise MetricError(
                f"'{definition}' defines no metric. Write NAME=FILE.py:FUNCTION, for example brevity=mine.py:brevity."
            )
        if name in found:
            raise MetricError(f"the metric '{name}' is defined twice. Give each its own name.")
        found[name] = from_function(name, _import(Path(path), function), source=Path(path).read_bytes(), place=place)
    return found


def installed() -> Mapping[str, EntryPoint]:
    """Return the metrics of installed packages by name, not loaded yet."""
    return {point.name: point for point in entry_points(group=GROUP)}


def from_entry_point(point: EntryPoint) -> Metric:
    """Return the metric of an entry point.

    Raises:
        MetricError: It cannot be imported, or is no function.
    """
    try:
        function = point.load()
    except _FAULTS as error:
        raise MetricError(
            f"the metric '{point.name}' ({point.value}) cannot be imported: {type(error).__name__}: {error}."
            " Mend or uninstall the package that offers it."
        ) from error
    if not callable(function):
        raise MetricError(f"the metric '{point.name}' ({point.value}) is a {type(function).__name__}, not a function.")
    file = inspect.getsourcefile(inspect.unwrap(function))
    source = Path(file).read_bytes() if file else point.value.encode()
    return from_function(point.name, function, source=source, place=point.value)


def from_function(name: str, function: Function, *, source: bytes, place: str) -> Metric:
    """Return a function as an entry of the table of metrics.

    Args:
        name: the metric's name.
        function: of predictions and references, to one float or one per item.
        source: what its signature is a hash of.
        place: where it is, for messages and the table.

    Example:
        >>> from panollava.metrics import check_items, score_items
        >>> metric = from_function("same", lambda p, r: [float(a in b) for a, b in zip(p, r)], source=b"", place="here")
        >>> score_items(check_items(["a", "b"], ["a", "c"]), metrics=["same"], custom={"same": metric}).scores
        {'same': 0.5}
    """
    digest = hashlib.sha256(source).hexdigest()[:12]

    def run(items: Items, tokens: TokenTable, tokenizer: str | None) -> Outcome:  # noqa: ARG001
        result = _call(function, items, f"the metric '{name}' ({place})")
        fields = {"nrefs": reference_count(items.references), "custom": name, "source": f"sha256-{digest}"}
        if isinstance(result, float):
            return Outcome(result, make_signature(fields))
        totals = mean_totals(result)
        return Outcome(math.fsum(result) / len(result), make_signature(fields), tuple(result), totals=totals)

    return Metric(name, place, run, bool(getattr(function, "higher_is_better", True)))


def _import(path: Path, function: str) -> Function:
    if not path.is_file():
        raise MetricError(f"{path}: no such file, so no metric '{function}'. Give the path of a Python file.")
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    spec = importlib.util.spec_from_file_location(f"panollava_custom_{digest}", path)
    if spec is None or spec.loader is None:
        raise MetricError(f"{path}: not a Python file. Its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except (*_FAULTS, SyntaxError) as error:
        raise MetricError(f"{path}: cannot be imported: {type(error).__name__}: {error}. Mend the file.") from error
    found = vars(module).get(function)
    if not callable(found):
        names = [name for name, value in vars(module).items() if inspect.isfunction(value)]
        raise MetricError(f"{path}: no function '{function}' in it. Functions: {', '.join(names) or '(none)'}.")
    result: Function = found
    return result


def _call(function: Function, items: Items, what: str) -> float | list[float]:
    """Return the function's checked result; an error names the function and, where one item is to blame, its row."""
    predictions, references = list(items.predictions), [list(group) for group in items.references]
    try:
        result = function(predictions, references)
    except _FAULTS as error:
        at = _first_fault(function, items)
        raise MetricError(f"{what} failed{at}: {type(error).__name__}: {error}. Mend the function.") from error
    if _is_number(result):
        score = float(result)  # type: ignore[arg-type]
        if not math.isfinite(score):
            raise MetricError(f"{what} returned {score}; a score must be finite. Mend the function.")
        return score
    if isinstance(result, str) or not isinstance(result, Iterable):
        raise MetricError(f"{what} returned a {type(result).__name__}; return one float, or a list with one per item.")
    return _checked(list(result), items, what)


def _checked(scores: Sequence[object], items: Items, what: str) -> list[float]:
    if len(scores) != len(items.predictions):
        raise MetricError(
            f"{what} returned {len(scores)} scores for {len(items.predictions)} items; return one per item, or one"
            " float for all."
        )
    checked = []
    for place, score in enumerate(scores):
        value = float(score) if _is_number(score) else math.nan  # type: ignore[arg-type]
        if not math.isfinite(value):
            raise MetricError(f"{what} returned {score!r} for {items.place(place)}; a score must be a finite number.")
        checked.append(value)
    return checked


def _is_number(value: object) -> bool:
    """Whether a value is a number of Python or NumPy, which have one method in common."""
    return not isinstance(value, str | bytes | Iterable) and hasattr(value, "__float__")


def _first_fault(function: Function, items: Items) -> str:
    for place, prediction in enumerate(items.predictions):
        try:
            function([prediction], [list(items.references[place])])
        except _FAULTS:
            return f" at {items.place(place)}"
    return ""
