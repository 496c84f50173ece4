"""``make audit``: a service that does not answer is no clean bill, and a vulnerability fails."""

import importlib.util
import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "audit.py"


@pytest.fixture
def audit():
    spec = importlib.util.spec_from_file_location("panollava_audit", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def after(audit, monkeypatch, capsys):
    """Return a function that gives status and text of an audit, after what pip-audit would print."""

    def run(stdout="", stderr="", error=None):
        def answer(command, **options):
            if error is not None:
                raise error
            return SimpleNamespace(stdout=stdout, stderr=stderr, returncode=1)

        monkeypatch.setattr(subprocess, "run", answer)
        return audit.main(), capsys.readouterr().out

    return run


def report(*rows):
    return json.dumps({"dependencies": list(rows), "fixes": []})


FINE = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
SKIPPED = {"name": "c", "skip_reason": "Dependency not found"}


def test_a_vulnerability_fails(after):
    status, text = after(report(FINE, BAD, SKIPPED))
    assert status == 1
    assert "b 2: CVE-1; mended in: 3" in text and "not checked: c" in text and "1 vulnerabilities in 2 packages" in text


def test_nothing_found(after):
    assert after(report(FINE)) == (0, "1 packages checked, none is known to be vulnerable\n")


def test_a_service_that_knows_no_package_is_told_as_not_checked(after):
    status, text = after(report(SKIPPED, {"name": "panollava", "skip_reason": "own"}))
    assert status == 0 and text.startswith("not checked: the advisory service told nothing about any of 1 packages")


def test_a_service_that_cannot_be_reached(after):
    status, text = after(stderr="Traceback\nrequests.exceptions.ConnectionError: no such host\n")
    assert status == 0 and text == "not checked: requests.exceptions.ConnectionError: no such host\n"
    status, text = after(error=subprocess.TimeoutExpired("pip_audit", 120))
    assert status == 0 and text == "not checked: the advisory service did not answer in 120 s\n"
