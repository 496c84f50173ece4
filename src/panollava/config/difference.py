"""Which keys of two configurations differ."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

ABSENT = "(absent)"


class Difference(NamedTuple):
    """A key with two values."""

    path: str
    """Dotted path; an entry of a list of sections with a name goes by it, others by their number."""
    old: Any
    new: Any


def differences(old: Any, new: Any, *, prefix: str = "") -> list[Difference]:
    """Return the leaves in which two plain trees differ.

    Args:
        old: A tree as ``to_dict`` returns it.
        new: Another.
        prefix: Dotted path of the trees.

    Example:
        >>> differences({"lora": {"r": 8, "alpha": 32}}, {"lora": {"r": 16, "alpha": 32}})
        [Difference(path='lora.r', old=8, new=16)]
        >>> differences({"stages": [{"name": "a", "epochs": 1}]}, {"stages": [{"name": "a", "epochs": 2}]})
        [Difference(path='stages.a.epochs', old=1, new=2)]
    """
    one, two = _children(old), _children(new)
    if one is None or two is None:
        return [] if old == new else [Difference(prefix, old, new)]
    found = []
    for key in dict.fromkeys([*one, *two]):
        path = f"{prefix}.{key}" if prefix else key
        found += differences(one.get(key, ABSENT), two.get(key, ABSENT), prefix=path)
    return found


def _children(tree: Any) -> dict[str, Any] | None:
    """Return the named parts of a tree; None for a leaf, to which lists of plain values belong."""
    if isinstance(tree, Mapping):
        return {str(key): value for key, value in tree.items()}
    if isinstance(tree, Sequence) and not isinstance(tree, str) and tree and all(isinstance(e, Mapping) for e in tree):
        return {str(entry.get("name", number)): entry for number, entry in enumerate(tree)}
    return None
