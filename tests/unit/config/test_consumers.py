"""A key that nobody reads is a promise that nobody keeps."""

import re
from pathlib import Path

import pytest

from panollava.config.schema import walk_fields

SOURCE = Path(__file__).parents[3] / "src" / "panollava"
OWNERS = {"*": ("entry", "source"), "stages": ("stage",)}
"""How the code names one entry of a list."""


def consumers() -> str:
    """Return all code that may read a setting: every room but config, and what config itself derives."""
    files = [path for path in SOURCE.rglob("*.py") if "config" not in path.relative_to(SOURCE).parts]
    derived = (SOURCE / "config" / "sections.py").read_text().replace("self.", "views.")
    return "\n".join(
        [*(path.read_text() for path in files), derived.split("def layout_options")[1].split("class ")[0]]
    )


def owners(path: str) -> tuple[str, ...]:
    *sections, _ = path.split(".")
    if sections[-1] == "*":
        return OWNERS.get(sections[-2], OWNERS["*"])
    return (sections[-1],)


@pytest.mark.skipif(not (SOURCE / "workflow" / "runner.py").exists(), reason="the workflow is not built yet")
def test_every_key_is_read_somewhere():
    code = consumers()
    unread = [
        field.path
        for field in walk_fields()
        if not re.search(rf"\b({'|'.join(owners(field.path))})\.{field.path.rsplit('.', 1)[1]}\b", code)
    ]
    assert unread == []
