"""A key that nobody reads is a promise that nobody keeps."""

import re
from pathlib import Path

from panollava.config.schema import PanollavaConfig, section_of, walk_fields

SOURCE = Path(__file__).parents[3] / "src" / "panollava"
ENTRY = {"stages": "stage"}
"""How the code names one entry of a list; elsewhere: entry."""


def consumers() -> list[str]:
    """Return every file that may read a setting: every room but config, and what config itself derives."""
    files = [path for path in SOURCE.rglob("*.py") if "config" not in path.relative_to(SOURCE).parts]
    derived = (SOURCE / "config" / "sections.py").read_text().split("def layout_options")[1].split("class ")[0]
    return [*(path.read_text() for path in files), derived.replace("self.", "views.")]


def section(path: str) -> tuple[str, str]:
    """Return the name that code gives to the section of a key, and the name of the section's class."""
    model, name = PanollavaConfig, ""
    for part in path.split(".")[:-1]:
        if part == "*":
            name = ENTRY.get(name, "entry")
            continue
        found, _ = section_of(model.model_fields[part].annotation)
        assert found is not None
        model, name = found, part
    return name, model.__name__


def names(code: str, owner: str, kind: str) -> set[str]:
    """Return the names that a section has in one file: its own, those of arguments of its type, and of copies."""
    known = {owner, *re.findall(rf"\b(\w+): {kind}\b", code)}
    while True:
        some = "|".join(known)
        copies = set(re.findall(rf"^\s*(\w+) = (?:\w+\.)*(?:{some})$", code, flags=re.MULTILINE))
        if copies <= known:
            return known
        known |= copies


def is_read(path: str, files: list[str]) -> bool:
    key = path.rsplit(".", 1)[1]
    return any(
        re.search(rf"\b(?:{'|'.join(names(code, *section(path)))})\.{key}\b", code)
        for code in files
        if f".{key}" in code
    )


def test_every_key_is_read_somewhere():
    files = consumers()
    assert [field.path for field in walk_fields() if not is_read(field.path, files)] == []


def test_a_key_that_is_not_read_is_found():
    files = ["s = cfg.lora\nuse(s.r)\n", "def f(settings: TrainerConfig): settings.devices, other.threads"]
    read = {path: is_read(path, files) for path in ("lora.r", "lora.alpha", "trainer.devices", "trainer.threads")}
    assert read == {"lora.r": True, "lora.alpha": False, "trainer.devices": True, "trainer.threads": False}
