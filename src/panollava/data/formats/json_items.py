r"""JSON and JSONL manifests: LLaVA conversations and flat records.

A LLaVA item holds turns; each question with its answer becomes one record, in order::

    {"id": "7", "image": "a.jpg",
     "conversations": [{"from": "human", "value": "<image>\nWhat is behind?"},
                       {"from": "gpt", "value": "A door."}]}

A flat item holds one: ``{"image": "a.jpg", "query": "What is behind?", "answer": "A door."}``. Both may
appear in `.json` (a list of items) and `.jsonl` (one item per line). Repeated keys are errors: JSON would
keep the last.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from panollava.data.formats.record import DEFAULT_QUERY, Record, bad_cell, match_columns, present, read_text
from panollava.errors import DataError

_ASKS = frozenset({"human", "user"})
_ANSWERS = frozenset({"gpt", "assistant"})
_PLACEHOLDER = "<image>"


def read_json(path: Path, *, require_answer: bool) -> Iterator[Record]:
    """Yield the records of a `.json` file: a list of LLaVA or flat items."""
    text = _text(path)
    position = _skip_space(text, 0)
    if text[position : position + 1] != "[":
        hint = "; rename it to .jsonl if it holds one item per line" if text[position : position + 1] == "{" else ""
        raise bad_cell(path, "row 1", "image", f"a .json manifest is a list of items, [{{...}}, ...]{hint}")
    row, counted, number = 1, 0, 0
    position = _skip_space(text, position + 1)
    while text[position : position + 1] != "]":
        row, counted = row + text.count("\n", counted, position), position
        number += 1
        where = f"row {row} (item {number})"
        item, position = _decode(path, where, text, position)
        yield from _records(path, row, where, str(number), item, require_answer=require_answer)
        position = _skip_space(text, position)
        if text[position : position + 1] == ",":
            position = _skip_space(text, position + 1)
        elif text[position : position + 1] != "]":
            row += text.count("\n", counted, position)
            raise bad_cell(
                path, f"row {row}", "image", f"after item {number} a comma or ] must follow; the file is cut"
            )
    if _skip_space(text, position + 1) != len(text):
        raise bad_cell(path, f"row {text.count(chr(10)) + 1}", "image", "there is text after the list; remove it")


def read_jsonl(path: Path, *, require_answer: bool) -> Iterator[Record]:
    """Yield the records of a `.jsonl` file: one LLaVA or flat item per line."""
    for row, line in enumerate(_text(path).split("\n"), start=1):
        start = _skip_space(line, 0)
        if start == len(line):
            continue
        where = f"row {row}"
        if row == 1 and line[start] == "[":
            raise bad_cell(path, where, "image", "a .jsonl manifest has one {...} per line; rename a list to .json")
        item, end = _decode(path, where, line, start)
        if _skip_space(line, end) != len(line):
            raise bad_cell(path, where, "image", "there is text after the item; a line holds one item")
        yield from _records(path, row, where, str(row), item, require_answer=require_answer)


def _text(path: Path) -> str:
    return read_text(path).replace("\r\n", "\n").replace("\r", "\n")


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\n":
        position += 1
    return position


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    item = dict(pairs)
    if len(item) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key '{next(n for n in names if names.count(n) > 1)}' is there twice; remove one")
    return item


_DECODER = json.JSONDecoder(object_pairs_hook=_no_repeats)


def _decode(path: Path, where: str, text: str, position: int) -> tuple[Any, int]:
    """Decode one item; return it and the position after it."""
    try:
        return _DECODER.raw_decode(text, position)
    except json.JSONDecodeError as error:
        line = text.count("\n", position, error.pos)
        row = f"{where}, line {line + 1} of the item" if line else where
        column = error.pos - text.rfind("\n", 0, error.pos)
        raise DataError(f"{path}, {row}, column {column} (character): not valid JSON, {error.msg}.") from error
    except RecursionError as error:
        raise bad_cell(path, where, "image", "the item is nested too deeply; a manifest item is flat") from error
    except ValueError as error:  # a repeated key, or a number with thousands of digits
        raise bad_cell(path, where, "image", str(error)) from error


def _records(path: Path, row: int, where: str, key: str, item: Any, *, require_answer: bool) -> Iterator[Record]:
    """Turn one decoded item into its records."""
    if not isinstance(item, dict):
        raise bad_cell(path, where, "image", f"an item is an object {{...}}, not {_json_type(item)}")
    if "conversations" in item:
        yield from _conversation(path, row, where, key, item)
        return
    columns = match_columns(path, where, list(item), require_answer=require_answer)
    texts = {field: _string(path, where, column, item[column]) for field, column in columns.items()}
    yield Record(
        row=row,
        where=where,
        key=key,
        columns=columns,
        image=(texts["image"] or "").strip(),
        query=(present(texts["query"] or "") or "") if "query" in texts else DEFAULT_QUERY,
        answer=present(texts.get("answer") or ""),
        kind=present(texts.get("kind") or "") or "",
        sample_id=present(texts.get("id") or "") or "",
        prediction=(texts["prediction"] or "") if "prediction" in texts else None,
    )


def _conversation(path: Path, row: int, where: str, key: str, item: Mapping[str, Any]) -> Iterator[Record]:
    """Yield one record per question of a LLaVA item."""
    column = "conversations"
    columns = match_columns(
        path, where, [name for name in item if name != column], require_answer=False, require_query=False
    )
    columns |= {"query": column, "answer": column}
    image, kind, sample_id = (
        _string(path, where, columns[field], item[columns[field]]) if field in columns else ""
        for field in ("image", "kind", "id")
    )
    turns = item[column]
    if not isinstance(turns, list) or not turns:
        raise bad_cell(path, where, column, "it must be a list of turns; write at least a human and a gpt turn")
    texts = [_turn(path, f"{where}, turn {number}", turn, number) for number, turn in enumerate(turns, start=1)]
    if sum(text.count(_PLACEHOLDER) for text in texts) > 1:
        raise bad_cell(path, where, column, "it holds <image> more than once; an item has one panorama")
    count = (len(texts) + 1) // 2
    for index in range(count):
        suffix = f".{index + 1}" if count > 1 else ""
        answer = texts[2 * index + 1] if 2 * index + 1 < len(texts) else ""
        yield Record(
            row=row,
            where=f"{where}, turn {2 * index + 1}" if count > 1 else where,
            key=key + suffix,
            columns=columns,
            image=(image or "").strip(),
            query=present(texts[2 * index].replace(_PLACEHOLDER, "")) or "",
            answer=present(answer),
            kind=(kind or "").strip(),
            sample_id=sample_id.strip() + suffix if sample_id and sample_id.strip() else "",
            prediction=None,
        )


def _turn(path: Path, where: str, turn: Any, number: int) -> str:
    """Return a turn's text after checking that it is this speaker's turn."""
    column = "conversations"
    if not isinstance(turn, dict) or "from" not in turn or "value" not in turn:
        raise bad_cell(path, where, column, 'a turn is {"from": "human" or "gpt", "value": "..."}')
    asks = number % 2 == 1
    speaker, allowed = turn["from"], _ASKS if asks else _ANSWERS
    if not isinstance(speaker, str) or speaker not in allowed:
        raise bad_cell(
            path,
            where,
            column,
            f"it is from {speaker!r} and must be from '{'human' if asks else 'gpt'}'; human and gpt turns "
            "alternate, human first (system turns belong in the configuration)",
        )
    text = _string(path, where, column, turn["value"])
    if not asks and text is not None and _PLACEHOLDER in text:
        raise bad_cell(path, where, column, "an answer must not contain <image>; remove it")
    return text or ""


def _string(path: Path, where: str, column: str, value: Any) -> str | None:
    """Return a JSON value as text: text as it is, a whole number in digits, null as None."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise bad_cell(path, where, column, f'it is {_json_type(value)} and must be text; write it in quotes, "..."')


def _json_type(value: Any) -> str:
    names = {dict: "an object", list: "a list", bool: "true or false", float: "a decimal number"}
    return next((name for kind, name in names.items() if isinstance(value, kind)), f"{value!r:.40}")
