"""A folder of a pretrained model, looked over before a library opens it: JSON and whole safetensors, no other weights.

transformers would read ``pytorch_model.bin`` (a pickle, which can run code when it is read) where there is no
safetensors file, and names no file when one is cut off.
"""

import json
from pathlib import Path, PurePosixPath
from typing import Any

from panollava.errors import ModelError

CONFIG, INDEX = "config.json", "model.safetensors.index.json"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
"""Endings of weights that are not read."""

_MAY_NAME_CODE = (
    CONFIG,
    "tokenizer_config.json",
    "tokenizer/tokenizer_config.json",
    "processor_config.json",
    "preprocessor_config.json",
)


def check_folder(folder: Path) -> None:
    """Check that a folder holds a configuration, and weights as whole safetensors files.

    Raises:
        ModelError: If something is missing, cut off or of another format; the message names the file.
    """
    config = read_json(folder / CONFIG)
    if not config:
        raise ModelError(f"{folder / CONFIG} is missing or empty; give a folder that was saved by save_pretrained")
    program = _program(config)
    if program:
        raise ModelError(
            f"{folder / CONFIG} asks for a program to be run ({program}), which the files of a model cannot allow "
            "themselves; if you trust the weights, remove that entry"
        )
    named = sorted(indexed_files(folder))
    for name in named:
        if not (folder / name).is_file():
            raise ModelError(f"{folder / name} is missing, but {INDEX} names it; fetch the model again")
    weights = [folder / name for name in named] or sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ModelError(f"{folder} holds no weights as safetensors. {_instead(folder)}")
    for file in weights:
        check_safetensors(file)


def check_safetensors(file: Path) -> None:
    """Check the header of a safetensors file, and that the file is as long as it says.

    Raises:
        ModelError: If it is cut off, or is something else under this name.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy"):
            return
    except (SafetensorError, OSError) as error:
        size = file.stat().st_size if file.is_file() else 0
        raise ModelError(
            f"{file} ({size} bytes) is no whole safetensors file: {error}. It was cut off, or is "
            "another format under this name; fetch it again"
        ) from error


def indexed_files(folder: Path) -> set[str]:
    """Return the weight files that an index names; empty where there is no index.

    Raises:
        ModelError: If the index names something that is not a file of this folder.
    """
    index = read_json(folder / INDEX)
    files = index.get("weight_map", {}) if index else {}
    if not isinstance(files, dict) or not all(isinstance(name, str) for name in files.values()):
        raise ModelError(f"{folder / INDEX}: weight_map is no table of file names; fetch the model again")
    for name in files.values():
        if PurePosixPath(name).name != name or not name.endswith(".safetensors"):
            raise ModelError(
                f"{folder / INDEX} names '{name}'; allowed are safetensors files of the same folder, without a path"
            )
    return set(files.values())


def code_references(folder: Path) -> list[str]:
    """Return the classes that a model asks to be loaded from Python files of its own (``auto_map``)."""
    found: list[str] = []
    for name in _MAY_NAME_CODE:
        listed = (read_json(folder / name) or {}).get("auto_map", {})
        values = listed.values() if isinstance(listed, dict) else [listed]
        for value in values:
            found += [str(item) for item in (value if isinstance(value, list) else [value]) if item]
    return sorted(set(found))


def read_json(file: Path) -> dict[str, Any] | None:
    """Return the object in a JSON file; None where there is no file.

    Raises:
        ModelError: If it holds something else.
    """
    if not file.is_file():
        return None
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{file} is not JSON: {error}; fetch it again") from error
    if not isinstance(value, dict):
        raise ModelError(f"{file} holds no JSON object; fetch it again")
    return value


def _program(config: dict[str, Any]) -> str:
    """Return the entry of a configuration that allows code to itself, or names kernels of a repository; else ""."""
    for key, value in config.items():
        if isinstance(value, dict):
            inner = _program(value)
            if inner:
                return inner
        elif key == "trust_remote_code" and value:  # some classes read it for their inner models (CVE-2026-5241)
            return f"{key}: true"
        elif key.endswith("_implementation") and isinstance(value, str) and "/" in value:
            return f"{key}: {value}"
    return ""


def _instead(folder: Path) -> str:
    pickles = sorted(file.name for file in folder.iterdir() if file.suffix in PICKLES)
    if not pickles:
        return "Give a folder with model.safetensors."
    return (
        f"It has {', '.join(pickles[:3])}, which is not read: such a file can run code when it is opened. If you trust "
        "it, convert it (transformers: from_pretrained, then save_pretrained); or choose a model with safetensors."
    )
