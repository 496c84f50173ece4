"""A line of ``panollava check-env``, and a way to ask a machine something without waiting for ever."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

State = Literal["ok", "note", "warning", "failure"]
NO_ANSWER = "no answer"
"""What is found where something took longer than it may; not yet a sign that it does not work."""


class Check(NamedTuple):
    """One line of the table.

    Attributes:
        name: What was looked at.
        found: What was seen.
        needed: What is needed; empty where nothing is.
        state: ``ok``; ``note``: only told; ``warning``: something works less well; ``failure``: it does not work.
        fix: What to do, one line; empty where nothing is to be done.
    """

    name: str
    found: str
    needed: str = ""
    state: State = "ok"
    fix: str = ""


class Section(NamedTuple):
    """Lines that are found out together.

    Attributes:
        title: Heading.
        probe: Finds them out.
        limit_s: Seconds after which it is not waited for.
    """

    title: str
    probe: Callable[[], list[Check]]
    limit_s: float


def ask_all(sections: Sequence[Section]) -> list[tuple[str, list[Check]]]:
    """Ask all sections at the same time; one that does not answer in time is told as such.

    Example:
        >>> ask_all([Section("clock", lambda: [Check("year", "2026")], 5.0)])
        [('clock', [Check(name='year', found='2026', needed='', state='ok', fix='')])]
    """
    answers: dict[str, list[Check]] = {}

    def ask(section: Section) -> None:
        answers[section.title] = section.probe()

    # Daemons: a disk that hangs must not keep the process from ending.
    threads = [threading.Thread(target=ask, args=(section,), daemon=True) for section in sections]
    for thread in threads:
        thread.start()
    for thread, section in zip(threads, sections, strict=True):
        thread.join(section.limit_s)
    rows = []
    for thread, section in zip(threads, sections, strict=True):
        late = _no_answer(section, hangs=thread.is_alive())
        rows.append((section.title, answers.get(section.title, [late])))
    return rows


def _no_answer(section: Section, *, hangs: bool) -> Check:
    if hangs:
        fix = "a disk, driver or network that hangs; look at the processes of this machine"
        return Check(section.title, f"{NO_ANSWER} in {section.limit_s:g} s", "", "failure", fix)
    return Check(section.title, "this check broke off", "", "failure", "see the traceback above, and report it")


def output_of(command: Sequence[str], *, limit_s: float) -> str | None:
    """Return what a program prints on both channels; None if it cannot be started, fails, or takes too long."""
    try:
        done = subprocess.run(list(command), capture_output=True, text=True, timeout=limit_s, check=False)
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    return done.stdout + done.stderr if done.returncode == 0 else None


def python_says(code: str, *, limit_s: float) -> tuple[Any, str]:
    """Run Python code in a process of its own; return the JSON of its last line, and else what went wrong.

    Example:
        >>> python_says("print('[1, 2]')", limit_s=30)
        ([1, 2], '')
        >>> python_says("raise ValueError('no')", limit_s=30)
        (None, 'ValueError: no')
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired:
        return None, f"{NO_ANSWER} in {limit_s:g} s"
    except OSError as error:
        return None, f"{sys.executable} does not start: {error}"
    try:
        return json.loads(done.stdout.strip().splitlines()[-1]), ""
    except (ValueError, IndexError):
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return None, lines[-1][:160]
