"""Ask the advisory service whether an installed package has a known vulnerability; run by ``make audit``.

    0  every package was asked about, and none is vulnerable
    0  the service did not answer: said plainly, as "not checked". The tests compare with cli/known_bad.py all the same
    1  a package is vulnerable

pip-audit itself ends with "no known vulnerabilities" also where it could ask about no package at all.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

LIMIT_S = 120
LEFT_OUT = ("panollava", "pip", "setuptools")
"""This checkout, and what came with Python and is used to install only."""


def judge(said: dict[str, Any]) -> tuple[int, list[str]]:
    """Return the exit status and the lines for what pip-audit said.

    Args:
        said: Its report, ``{"dependencies": [{"name", "version", "vulns"} | {"name", "skip_reason"}]}``.

    Example:
        >>> judge({"dependencies": [{"name": "a", "skip_reason": "not found"}]})
        (0, ['not checked: the advisory service told nothing about any of 1 packages (not found)'])
        >>> judge({"dependencies": [{"name": "a", "version": "1", "vulns": []}]})
        (0, ['1 packages checked, none is known to be vulnerable'])
    """
    packages = [row for row in said["dependencies"] if row["name"] not in LEFT_OUT]
    skipped = [row for row in packages if "skip_reason" in row]
    asked = [row for row in packages if "skip_reason" not in row]
    if not asked:
        reason = skipped[0]["skip_reason"] if skipped else "there are none"
        return 0, [f"not checked: the advisory service told nothing about any of {len(packages)} packages ({reason})"]
    lines = [f"not checked: {row['name']} ({row['skip_reason']})" for row in skipped]
    bad = [(row, fault) for row in asked for fault in row["vulns"]]
    for row, fault in bad:
        fixed = ", ".join(fault.get("fix_versions") or ["none yet"])
        lines.append(f"{row['name']} {row['version']}: {fault['id']}; mended in: {fixed}")
    if bad:
        return 1, [*lines, f"{len(bad)} vulnerabilities in {len(asked)} packages"]
    return 0, [*lines, f"{len(asked)} packages checked, none is known to be vulnerable"]


def main(words: Sequence[str] = ()) -> int:
    """Run pip-audit over this environment, and judge what it says."""
    command = [sys.executable, "-m", "pip_audit", "--format=json", "--progress-spinner=off", "--timeout=5", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        status, lines = judge(json.loads(done.stdout))
    except subprocess.TimeoutExpired:
        status, lines = 0, [f"not checked: the advisory service did not answer in {LIMIT_S} s"]
    except (ValueError, KeyError, TypeError):  # it ended without a report
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        status, lines = 0, [f"not checked: {last[:300]}"]
    sys.stdout.write("\n".join(lines) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
