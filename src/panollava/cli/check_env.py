"""``panollava check-env``: can panollava work on this machine, and if not, what is to be done?

Everything is asked at the same time, and nothing is waited for without end. The status is 1 if a check fails; what
works less well is a warning, and what could be added is only told.
"""

import argparse
import functools
import json
from pathlib import Path

from panollava.cli.check_extras import extras
from panollava.cli.check_machine import folders, machine
from panollava.cli.check_packages import optional_packages, python_and_packages
from panollava.cli.check_row import Check, Section, ask_all
from panollava.cli.check_torch import torch_and_devices

_MARKS = {"ok": "ok", "note": "-", "warning": "!", "failure": "FAIL"}
_COLOURS = {"ok": "green", "note": "dim", "warning": "yellow", "failure": "bold red"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--json", action="store_true", help="print the checks as JSON")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="paths.runs (default: runs)")
    parser.add_argument(
        "--data", type=Path, default=Path("data_cache"), metavar="DIR", help="paths.data (default: data_cache)"
    )
    parser.epilog = "ok: works; !: works less well; -: could be added; FAIL: does not work (exit status 1)."


def run(args: argparse.Namespace) -> int:
    """Print the checks; the status is 1 if one fails."""
    answers = ask_all(
        [
            Section("Python and packages", python_and_packages, 60),
            Section("torch and devices", torch_and_devices, 300),
            Section("machine", machine, 20),
            Section("folders", functools.partial(folders, args.runs, args.data), 30),
            Section("hub, Java, fonts", extras, 130),
            Section("optional packages", optional_packages, 20),
        ]
    )
    ok = not any(check.state == "failure" for _, checks in answers for check in checks)
    if args.json:
        rows = [{"section": title, **check._asdict()} for title, checks in answers for check in checks]
        print(json.dumps({"format": 1, "ok": ok, "checks": rows}, indent=2))
    else:
        _print_tables(answers)
    return 0 if ok else 1


def _print_tables(answers: list[tuple[str, list[Check]]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=False)
    width = max(len(check.name) for _, checks in answers for check in checks)
    for title, checks in answers:
        table = Table(box=None, show_header=False, title=title, title_justify="left", padding=(0, 2, 0, 0))
        table.title_style = "bold"
        table.add_column(width=4)
        table.add_column(width=width)
        table.add_column(overflow="fold")
        table.add_column(overflow="fold", style="dim")
        for check in checks:
            mark = Text(_MARKS[check.state], style=_COLOURS[check.state])
            table.add_row(mark, check.name, Text(check.found), Text(check.needed))
        console.print(table)
        console.print()
    _print_fixes(console, [check for _, checks in answers for check in checks])


def _print_fixes(console: object, checks: list[Check]) -> None:
    """Print what to do, failures first."""
    from rich.console import Console
    from rich.text import Text

    assert isinstance(console, Console)
    for state, title in (("failure", "to be mended"), ("warning", "worth a look"), ("note", "if you want it")):
        found = [check for check in checks if check.state == state and check.fix]
        if found:
            console.print(Text(title, style=_COLOURS[state]))
            for check in found:
                console.print(Text(f"  {check.name}: {check.fix}"))
    count = {state: sum(check.state == state for check in checks) for state in _MARKS}
    console.print(Text(f"\n{len(checks)} checks: {count['failure']} failed, {count['warning']} warnings"))
