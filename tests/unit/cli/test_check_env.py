"""The doctor: what it sees, what it calls a failure, and that it never waits without end."""

import datetime
import json
import locale
import re
import resource
import threading
import time
from collections import namedtuple
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from panollava.cli import (
    check_env,
    check_extras,
    check_machine,
    check_packages,
    check_torch,
    main,
)
from panollava.cli.check_row import Check, Section, ask_all, output_of, python_says
from panollava.cli.known_bad import KNOWN_BAD, known_faults

ROOT = Path(__file__).parents[3]


@pytest.fixture
def healthy(monkeypatch):
    """Leave out what takes seconds: torch and the fonts."""
    monkeypatch.setattr(check_env, "torch_and_devices", lambda: [Check("torch import", "2.13.0", "works")])
    monkeypatch.setattr(check_extras, "check_fonts", lambda: Check("fonts", "71"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def told(healthy, tmp_path, capsys):
    """Return a function that runs the verb, and gives status and output."""

    def tell(*words):
        status = main(["check-env", "--runs", str(tmp_path / "runs"), "--data", str(tmp_path / "data"), *words])
        return status, capsys.readouterr().out

    return tell


def test_json_has_stable_keys(told):
    status, out = told("--json")
    report = json.loads(out)
    assert status == 0 and report["ok"] is True and report["format"] == 1
    assert {tuple(row) for row in report["checks"]} == {("section", "name", "found", "needed", "state", "fix")}
    assert {row["state"] for row in report["checks"]} <= {"ok", "note", "warning", "failure"}
    names = {row["name"] for row in report["checks"]}
    assert {"python", "torch", "memory", "paths.runs write", "paths.data free", "model hub", "Java", "clock"} <= names


def test_a_failure_is_told_first_with_its_fix(told, monkeypatch):
    monkeypatch.setattr(check_packages, "LEAST_PYTHON", (4, 0))
    status, out = told()
    assert status == 1
    assert "FAIL  python" in out and "python: make PYTHON=python3.12 makes a new .venv" in out
    assert out.rstrip().splitlines()[-1].endswith("checks: 1 failed, 0 warnings")


def test_a_warning_is_no_failure(told, monkeypatch):
    monkeypatch.setattr(check_machine, "check_clock", lambda: Check("clock", "1970", "", "warning", "set the clock"))
    status, out = told()
    assert status == 0 and "!     clock" in out and "worth a look" in out and "clock: set the clock" in out


def test_no_line_is_wider_than_80_columns_and_no_colour_where_none_is_wanted(told, monkeypatch):
    monkeypatch.setattr(check_machine, "check_clock", lambda: Check("clock", "1970", "", "warning", "set the clock"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    yellow = re.compile(r"\x1b\[[0-9;]*3[0-9]m")
    assert yellow.search(told()[1])
    monkeypatch.setenv("NO_COLOR", "1")
    _, out = told()
    table = re.sub(r"\x1b\[[0-9;]*m", "", out).split("worth a look")[0]
    assert not yellow.search(out) and max(map(len, table.splitlines())) <= 80


def test_a_check_that_hangs_is_not_waited_for():
    never, started = threading.Event(), time.monotonic()
    ((_, good), (_, late)) = ask_all(
        [Section("a", lambda: [Check("a", "1")], 60), Section("b", lambda: never.wait() or [], 0.2)]
    )
    assert time.monotonic() - started < 30
    assert good == [Check("a", "1")] and late[0].state == "failure" and late[0].found == "no answer in 0.2 s"
    never.set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_check_that_breaks_off_says_so():
    ((_, rows),) = ask_all([Section("a", lambda: [Check(str(1 // 0), "")], 60)])
    assert rows[0].state == "failure" and rows[0].found == "this check broke off"


def test_programs_that_fail_or_hang():
    assert output_of(["no-such-program"], limit_s=5) is None
    assert output_of(["false"], limit_s=30) is None
    assert output_of(["sleep", "60"], limit_s=0.2) is None
    assert output_of(["echo", "hello"], limit_s=30) == "hello\n"
    assert python_says("import time; time.sleep(60)", limit_s=0.5) == (None, "no answer in 0.5 s")
    assert python_says("import no_such_module", limit_s=60)[1].startswith("ModuleNotFoundError")


Distribution = namedtuple("Distribution", "name version requires")


def test_a_package_that_is_absent_or_too_old():
    assert check_packages.check_package("packaging", needed=">=9999").fix == "pip install 'packaging>=9999'"
    assert check_packages.check_package("packaging", needed=">=1,<9999").state == "ok"
    assert check_packages.check_package("no-such-package", needed="").found == "not installed"


def test_a_requirement_of_another_package_that_is_not_met(monkeypatch):
    broken = Distribution("gradio", "6", ["packaging<2", "absent>=1", "extra-only; extra == 'x'", "pyyaml>=5"])
    monkeypatch.setattr(metadata, "distributions", lambda: [broken])
    rows = check_packages.check_conflicts()
    assert [(row.name, row.found.split()[0], row.needed, row.state) for row in rows] == [
        ("gradio needs", "absent", ">=1", "warning"),
        ("gradio needs", "packaging", "<2", "warning"),
    ]


def test_two_builds_of_opencv(monkeypatch):
    assert check_packages.check_opencv().state == "ok"
    monkeypatch.setattr(check_packages, "version_of", lambda name: "5.0" if name == "opencv-python" else None)
    row = check_packages.check_opencv()
    assert row.state == "warning" and row.fix.startswith("pip uninstall opencv-python;")


def test_versions_other_than_tested(tmp_path):
    file = tmp_path / "constraints.txt"
    version = metadata.version("packaging")
    file.write_text(f"# tested\npackaging=={version}\nno-such-package==1\n")
    assert check_packages.check_tested(file)[0].found == "all"
    file.write_text("packaging==0.1\n")
    assert check_packages.check_tested(file)[0].found == f"other: packaging {version}"
    assert check_packages.check_tested(tmp_path / "none.txt") == []


def test_a_version_with_malware_is_a_failure(monkeypatch):
    monkeypatch.setattr(metadata, "distributions", lambda: [Distribution("lightning", "2.6.3", [])])
    (row,) = check_packages.check_known_bad()
    assert row.state == "failure" and "malware" in row.fix and "pip install 'lightning>=2.6.5'" in row.fix


@pytest.mark.parametrize(
    ("package", "version", "bad"),
    [
        ("torch", "2.9.1+cu128", True), ("torch", "2.10.0", False), ("torch", "2.13.0+cpu", False),
        ("Pillow", "12.3.0", True), ("pillow", "13.0.0", False), ("PyYAML", "5.3", True), ("nltk", "3.9.3", False),
        ("lightning", "2.6.1", False), ("lightning", "2.6.2", True), ("torch", "git-abc", False),
    ],
)  # fmt: skip
def test_which_versions_are_bad(package, version, bad):
    assert bool(known_faults(package, version)) is bad


def test_requirements_allow_no_version_that_is_known_to_be_bad():
    """The floors of pyproject.toml, of all extras, and the versions of constraints.txt."""
    import tomllib

    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet
    from packaging.utils import canonicalize_name

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    pinned = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
    checked = set()
    for requirement in map(Requirement, [*project["dependencies"], *extras, *pinned]):
        for bad in KNOWN_BAD:
            if bad.package == canonicalize_name(requirement.name):
                edges = [s.version for s in SpecifierSet(bad.versions)]
                edges += [s.version for s in requirement.specifier if s.operator in (">=", "==")]
                allowed = [v for v in edges if v in SpecifierSet(bad.versions) and v in requirement.specifier]
                assert not allowed, f"{requirement} allows {allowed}: {bad.why}"
                checked.add(bad.package)
    assert {"filelock", "jinja2", "lightning", "nltk", "pillow", "pyyaml", "ray", "torch"} <= checked
    assert all(SpecifierSet(bad.instead).contains(s.version) is False for bad in KNOWN_BAD
               for s in SpecifierSet(bad.versions) if s.operator == "==")  # fmt: skip


def test_torch_that_does_not_import(monkeypatch):
    monkeypatch.setattr(check_torch, "python_says", lambda code, limit_s: (None, "OSError: libcudart.so.13"))
    (row,) = check_torch.torch_and_devices()
    assert row.state == "failure" and row.found == "OSError: libcudart.so.13" and "make TORCH=" in row.fix


def test_a_machine_too_busy_to_import_torch_is_a_warning(monkeypatch):
    monkeypatch.setattr(check_torch, "IMPORT_S", 0.01)
    (row,) = check_torch.torch_and_devices()
    assert row.state == "warning" and row.found == "no answer in 0.01 s" and "make TORCH=" not in row.fix


def test_a_python_that_does_not_start_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr("panollava.cli.check_row.sys.executable", str(tmp_path / "python"))
    said, wrong = python_says("print(1)", limit_s=60)
    assert said is None and wrong.startswith(f"{tmp_path / 'python'} does not start: ")


SAID = {"version": "2.13.0", "built": "13.0", "devices": [], "threads": 8, "mps": False}


def test_a_gpu_that_torch_does_not_see_is_a_warning(monkeypatch):
    monkeypatch.setattr(check_torch, "output_of", lambda command, limit_s: "580.65.06, NVIDIA H100\n")
    rows = {row.name: row for row in check_torch._devices({**SAID, "built": None})}
    assert rows["CUDA"].state == "warning" and "has no CUDA" in rows["CUDA"].fix
    seen = check_torch._devices({**SAID, "devices": [["NVIDIA H100", 80 * 2**30, "9.0"]]})
    assert [row.found for row in seen] == ["NVIDIA H100, 80 GiB, capability 9.0", "580.65.06"]
    assert all(row.state == "ok" for row in seen)


def test_no_gpu_is_told_and_no_more(monkeypatch):
    monkeypatch.setattr(check_torch, "output_of", lambda command, limit_s: None)
    (row,) = check_torch._devices(SAID)
    assert row.state == "note"


def test_a_torchvision_for_another_torch_is_a_failure(monkeypatch):
    monkeypatch.setattr(check_torch, "version_of", lambda name: "0.28.0")
    monkeypatch.setattr(
        check_torch,
        "python_says",
        lambda code, limit_s: (None, "RuntimeError: operator torchvision::nms does not exist"),
    )
    (row,) = check_torch.check_torchvision()
    assert row.state == "failure" and row.fix.startswith("pip uninstall torchvision")
    monkeypatch.setattr(check_torch, "version_of", lambda name: None)
    assert check_torch.check_torchvision() == []


def test_little_memory_and_the_limit_of_a_container(monkeypatch):
    monkeypatch.setattr(check_machine, "_container_limit", lambda: 2.0)
    row = check_machine.check_memory()
    assert row.state == "warning" and row.found.startswith("2.0 GiB of ") and "batch_size" in row.fix


def test_little_shared_memory_and_few_files(monkeypatch, tmp_path):
    monkeypatch.setattr(check_machine.shutil, "disk_usage", lambda path: SimpleNamespace(total=64 * 2**20, free=0))
    assert "--shm-size" in check_machine.check_shared_memory(tmp_path)[0].fix
    assert check_machine.check_shared_memory(tmp_path / "none") == []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, 4096))
    assert check_machine.check_files()[0].fix == "ulimit -n 4096"


def test_text_that_is_not_utf_8(monkeypatch):
    monkeypatch.setattr(locale, "getpreferredencoding", lambda change: "ANSI_X3.4-1968")
    (row,) = check_machine.check_text()
    assert row.state == "warning" and "text ANSI_X3.4-1968" in row.found


def test_a_clock_in_the_past(monkeypatch):
    monkeypatch.setattr(check_machine, "_RELEASED", datetime.datetime(2999, 1, 1, tzinfo=datetime.UTC))
    assert check_machine.check_clock().state == "warning"


def test_what_a_scheduler_says(monkeypatch):
    for name in check_machine._SCHEDULED:
        monkeypatch.delenv(name, raising=False)
    assert check_machine.check_scheduler() == []
    monkeypatch.setenv("WORLD_SIZE", "4")
    (row,) = check_machine.check_scheduler()
    assert row.found == "WORLD_SIZE=4" and "joins 4 processes" in row.fix


def test_a_folder_is_really_written_to(tmp_path, monkeypatch):
    free, write = check_machine.check_folder("paths.runs", tmp_path / "not" / "yet")
    assert (free.state, write.state) == ("ok", "ok") and list(tmp_path.iterdir()) == []

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(check_machine.os, "fsync", full)
    _, write = check_machine.check_folder("paths.runs", tmp_path)
    assert write.state == "failure" and write.found == "No space left on device"
    assert str(tmp_path) in write.fix and list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(check_machine.shutil, "disk_usage", lambda path: SimpleNamespace(total=0, free=2**20))
    assert check_machine.check_folder("paths.data", tmp_path)[0].state == "failure"


def test_the_hub_is_not_asked_where_it_must_not_be(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(check_extras.urllib.request, "urlopen", lambda *a, **k: pytest.fail("asked"))
    assert check_extras.check_hub().found == "not asked: HF_HUB_OFFLINE is set"


def test_a_hub_that_answers_and_one_that_does_not(monkeypatch):
    import http.server

    from huggingface_hub import constants

    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("urllib.request.getproxies", dict)
    hub = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)  # 501: an answer
    monkeypatch.setattr(http.server.BaseHTTPRequestHandler, "log_message", lambda *words: None)
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{hub.server_port}")
    assert check_extras.check_hub().state == "ok"
    hub.shutdown()
    hub.server_close()
    row = check_extras.check_hub(limit_s=2)
    assert row.state == "warning" and "HF_ENDPOINT" in row.fix


def test_java_is_optional_but_a_wrong_java_home_is_not(monkeypatch, tmp_path):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    row = check_extras.check_java()
    assert row.state == "warning" and row.fix == "correct or unset JAVA_HOME"


def test_fonts_with_korean_or_without(monkeypatch):
    monkeypatch.setattr(check_extras, "python_says", lambda code, limit_s: ([70, "NanumGothic"], ""))
    assert check_extras.check_fonts().found == "70, Korean in NanumGothic"
    monkeypatch.setattr(check_extras, "python_says", lambda code, limit_s: ([70], ""))
    row = check_extras.check_fonts()
    assert row.state == "note" and "NanumGothic.ttf" in row.fix


def test_the_real_fonts_are_read():
    assert check_extras.check_fonts().found.split(",")[0].isdigit()


def test_the_real_torch_is_imported():
    rows = {row.name: row for row in check_torch.torch_and_devices()}
    assert rows["torch import"].found == metadata.version("torch") and rows["threads of torch"].state == "ok"
