"""``panollava checkpoints``: list, verify, prune, diff."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from panollava.cli import main


@pytest.fixture
def runs(three_stages, tmp_path):
    """Return a folder of one run, with two checkpoints inside its last stage."""
    run = tmp_path / "runs" / "tiny"
    shutil.copytree(three_stages.run_dir, run)
    for name in ("step-000001", "step-000002"):
        inside(three_stages, run / "finetune" / name)
    return run.parent


def inside(three_stages, folder):
    from panollava.checkpoints.manifest import META, write_manifest

    shutil.copytree(three_stages.checkpoint, folder)
    (folder / META).write_text(json.dumps({**json.loads((folder / META).read_text()), "finished": False}))
    write_manifest(folder)


def damage(file: Path) -> None:
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)


def test_list_tells_what_there_is(runs, capsys):
    (runs / "tiny" / "vision" / "last" / "vision.safetensors").unlink()
    assert main(["checkpoints", "list", str(runs)]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split()[:5] == ["checkpoint", "run", "stage", "epoch", "step"]
    rows = {line.split()[0]: line for line in lines if line.startswith("tiny/")}
    assert set(rows) == {
        "tiny/finetune/last", "tiny/finetune/step-000001", "tiny/finetune/step-000002", "tiny/resampler/last",
        "tiny/vision/last",
    }  # fmt: skip
    assert rows["tiny/finetune/last"].split()[1:5] == ["tiny", "finetune", "1", "2"]
    assert "e2p hfov_deg=90 overlap=0.5 global" in rows["tiny/resampler/last"]
    states = {name: line.split()[-1] for name, line in rows.items()}
    assert states["tiny/finetune/last"] == "ok" and states["tiny/finetune/step-000001"] == "unfinished"
    assert states["tiny/vision/last"] == "damaged"
    assert lines[-1].endswith("is damaged: vision.safetensors is missing; use another checkpoint")


def test_list_as_json(runs, capsys):
    (runs / "tiny" / "vision" / "last" / "manifest.json").unlink()
    assert main(["checkpoints", "list", str(runs), "--json"]) == 0
    rows = {row["path"]: row for row in json.loads(capsys.readouterr().out)}
    row = rows[str(runs / "tiny" / "finetune" / "last")]
    assert (row["run"], row["stage"], row["step"], row["state"], row["damage"]) == ("tiny", "finetune", 2, "ok", None)
    lost = rows[str(runs / "tiny" / "vision" / "last")]
    assert (lost["state"], lost["stage"]) == ("damaged", None) and "manifest.json is missing" in lost["damage"]


def test_verify_reads_every_byte_and_names_the_file(runs, capsys):
    assert main(["checkpoints", "verify", str(runs)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith(", 0 damaged")
    damage(runs / "tiny" / "resampler" / "last" / "projector.safetensors")
    assert main(["checkpoints", "list", str(runs), "--json"]) == 0
    assert {row["state"] for row in json.loads(capsys.readouterr().out)} == {"ok", "unfinished"}
    assert main(["checkpoints", "verify", str(runs / "tiny" / "resampler"), str(runs / "tiny" / "vision")]) == 1
    out = capsys.readouterr().out
    assert "resampler/last is damaged: projector.safetensors has changed since it was written" in out
    assert "vision/last is whole" in out and "2 read" in out and "1 damaged" in out
    assert main(["checkpoints", "verify", str(runs), "--json"]) == 1
    assert [row["state"] for row in json.loads(capsys.readouterr().out)].count("damaged") == 1


def test_prune_says_first_and_does_then(runs, capsys):
    old = runs / "tiny" / "finetune" / "step-000001"
    assert main(["checkpoints", "prune", str(runs), "--keep", "1", "--dry-run"]) == 0
    assert f"would remove {old}" in capsys.readouterr().out and old.exists()
    assert main(["checkpoints", "prune", str(runs), "--keep", "1"]) == 0
    out = capsys.readouterr().out
    assert f"removed {old}" in out and "step-000002" not in out and not old.exists()
    assert "0 B freed" not in out
    assert main(["checkpoints", "prune", str(runs), "--keep", "0"]) == 1
    assert "at least 1" in capsys.readouterr().err


def test_prune_by_age(runs, capsys):
    assert main(["checkpoints", "prune", str(runs), "--keep", "9", "--max-age-days", "0"]) == 0
    assert not (runs / "tiny" / "finetune" / "step-000001").exists()
    assert (runs / "tiny" / "finetune" / "step-000002").exists() and (runs / "tiny" / "vision" / "last").exists()


def test_diff_tells_settings_and_weights(runs, capsys):
    words = ["checkpoints", "diff", str(runs / "tiny" / "resampler"), str(runs / "tiny")]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert f"second  {runs / 'tiny' / 'finetune' / 'last'}" in out
    lines = {line.split()[0]: line for line in out.splitlines() if line}
    assert lines["stage"].split() == ["stage", "resampler", "finetune"]
    assert lines["vision"].split() == ["vision", "equal"] and "at most by" in lines["projector"]
    assert main([*words, "--json"]) == 0
    assert {p["component"]: p["verdict"] for p in json.loads(capsys.readouterr().out)["weights"]}["vision"] == "equal"


@pytest.mark.parametrize("verb", ["list", "verify", "prune"])
def test_where_nothing_is_that_is_said(tmp_path, capsys, verb):
    assert main(["checkpoints", verb, str(tmp_path)]) == 1
    assert f"no checkpoint below {tmp_path}" in capsys.readouterr().err
    assert main(["checkpoints", verb, str(tmp_path / "absent")]) == 1
    assert "absent is no directory" in capsys.readouterr().err


def test_all_but_diff_are_quick(runs):
    """None of the libraries that a model needs is imported to look at files."""
    code = (
        "import sys\nfrom panollava.cli import main\n"
        f"for verb in ('list', 'verify', 'prune'): assert main(['checkpoints', verb, {str(runs)!r}]) == 0\n"
        "heavy = {'torch', 'transformers', 'lightning', 'numpy', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
