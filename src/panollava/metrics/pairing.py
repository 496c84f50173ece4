"""Pair the items of two files: the same questions, with the same references, in the same order."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from panollava.errors import MetricError
from panollava.metrics.items import Items

_EXAMPLES = 3
Key = tuple[str, str, str, int]


def paired(first: Items, second: Items) -> Items:
    """Return the second's items in the order, and with the references, of the first's.

    Raises:
        MetricError: Protocols or keys that do not agree, with counts and examples.

    Example:
        >>> from panollava.metrics import check_items
        >>> a = check_items(["x", "y"], ["r", "s"], images=["1", "2"], queries=["?", "?"])
        >>> b = check_items(["Y", "X"], ["s", "r"], images=["2", "1"], queries=["?", "?"])
        >>> paired(a, b).predictions
        ('X', 'Y')
    """
    if first.protocol != second.protocol:
        raise MetricError(
            f"the first file is scored by '{first.protocol}', the second by '{second.protocol}'. Name one protocol."
        )
    keys = [_keys(items, name) for items, name in ((first, "first"), (second, "second"))]
    places = {key: place for place, key in enumerate(keys[1])}
    lonely = [key for key in keys[0] if key not in places], [key for key in places if key not in set(keys[0])]
    if any(lonely):
        raise MetricError(
            f"{len(lonely[0])} of {len(keys[0])} items of the first file are not in the second, {len(lonely[1])} of"
            f" {len(keys[1])} of the second not in the first, so they cannot be paired. For example:"
            f" {_examples(lonely[0], 'first')}{_examples(lonely[1], 'second')}Compare answers to the same questions."
        )
    order = [places[key] for key in keys[0]]
    other = [key for key, place, mine in zip(keys[0], order, first.references, strict=True)
             if Counter(second.references[place]) != Counter(mine)]  # fmt: skip
    if other:
        raise MetricError(
            f"{len(other)} of {len(keys[0])} items have other references in the second file, for example"
            f" {_examples(other, 'both')}Compare predictions for the same references."
        )
    return replace(
        second,
        predictions=tuple(second.predictions[place] for place in order),
        references=first.references,
        images=first.images,
        queries=first.queries,
        row_numbers=tuple(second.row_numbers[place] for place in order) if second.row_numbers else (),
        cells={name: tuple(column[place] for place in order) for name, column in second.cells.items()},
    )


def _keys(items: Items, name: str) -> list[Key]:
    """Return what pairs each item: image and query; by rows, also the reference and its how-manieth repetition."""
    if not (items.images and items.queries):
        raise MetricError(
            f"the {name} file names not both image and query, by which items are paired. Add the columns image_path and"
            " original_query."
        )
    seen: Counter[tuple[str, str, str]] = Counter()
    keys = []
    for image, query, references in zip(items.images, items.queries, items.references, strict=True):
        base = (image, query, references[0] if items.protocol == "rows" else "")
        keys.append((*base, seen[base]))
        seen[base] += 1
    return keys


def _examples(keys: Sequence[Key], where: str) -> str:
    shown = [f"image '{key[0]}', query '{key[1]}'" + (f", reference '{key[2]}'" if key[2] else "") for key in keys]
    return f"({where}) {'; '.join(shown[:_EXAMPLES])}. " if keys else ""
