"""The command line starts fast because heavy packages are imported only inside the verbs that need them."""

import json
import subprocess
import sys

import pytest

from panollava.cli.program import VERBS

HEAVY = ("torch", "transformers", "lightning", "peft", "matplotlib", "tensorboard")


def imported_by(code: str) -> set[str]:
    """Return the top-level packages that a fresh Python has after running code."""
    tail = "\nimport json, sys\nprint('\\n' + json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code + tail], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_probe_sees_an_import():
    assert "numpy" in imported_by("import numpy")


@pytest.mark.parametrize("room", ["panollava", "panollava.cli", "panollava.config", "panollava.metrics"])
def test_importing_a_light_room_imports_nothing_heavy(room):
    assert imported_by(f"import {room}").isdisjoint(HEAVY)


def test_importing_the_command_line_imports_no_pydantic_and_no_numpy():
    assert imported_by("import panollava.cli").isdisjoint({"pydantic", "numpy", "yaml", *HEAVY})


def test_the_help_of_no_verb_imports_anything_heavy():
    """Every verb answers --help with status 0, in one fresh Python."""
    code = (
        "from panollava.cli import main\n"
        f"for verb in [[], *map(str.split, {list(VERBS)!r})]:\n"
        "    status = main([*verb, '--help'])\n"
        "    assert status == 0, (verb, status)\n"
    )
    assert imported_by(code).isdisjoint({"pydantic", "numpy", *HEAVY})
