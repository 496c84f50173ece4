"""Bad images, from the configuration to scores and report; without a policy, an error that names file and row."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from panollava.cli.program import main
from panollava.config import build_config, dump_config

Experiment = Callable[..., tuple[str, Path]]
SKIP = ("data.on_bad_image=skip", "data.max_bad_fraction=0.2")


@pytest.fixture
def experiment(tmp_path: Path, tiny_tree: Callable[..., dict[str, Any]]) -> Experiment:
    """Return a maker of (configuration, folder of the run): eight panoramas of two questions, the sixth cut."""
    for k in range(8):
        coarse = Image.fromarray(np.random.default_rng(k).integers(0, 256, (8, 16, 3), dtype=np.uint8))
        coarse.resize((128, 64)).save(tmp_path / f"{k}.jpg", "JPEG")
    (tmp_path / "5.jpg").write_bytes((tmp_path / "5.jpg").read_bytes()[:-300])
    rows = "".join(f"{k}.jpg,what is {w}?,it is {w}\n" for k in range(8) for w in ("behind", "left"))
    (tmp_path / "m.csv").write_text("url,query,annotation\n" + rows)

    def make(*overrides: str) -> tuple[str, Path]:
        entry = [{"source": str(tmp_path / "m.csv")}]
        tree = tiny_tree(runs=tmp_path / "runs")
        tree["paths"]["data"] = str(tmp_path / "data")
        tree["data"] = {"train": entry, "val": entry, "test": entry}
        tree["experiment"]["blind_baseline"] = True
        tree["evaluation"]["max_samples"] = 100
        file = tmp_path / "c.yaml"
        file.write_text(dump_config(build_config(tree, overrides=overrides, origin="test")))
        return str(file), tmp_path / "runs" / "tiny"

    return make


def test_what_is_skipped_is_in_scores_and_report_and_blind_answers_the_same(
    experiment: Experiment, capsys: pytest.CaptureFixture[str]
):
    config, run = experiment(*SKIP)
    status, said = main(["run", "--config", config]), capsys.readouterr()
    assert status == 0, said.err[-2000:]
    assert json.loads((run / "metrics.json").read_text())["test"] == {"panoramas": 7, "questions": 14, "skipped": 2}
    assert "2 questions left out" in said.out
    page = (run / "report.html").read_text()
    assert "Skipped rows" in page and "5.jpg" in page
    for name in ("predictions.csv", "blind_predictions.csv"):
        text = (run / name).read_text()
        assert "5.jpg" not in text and text.count("\n") == 15
    assert {row["split"] for row in json.loads((run / "skipped.json").read_text())} == {"train", "val", "test"}


def test_another_test_set_lists_what_it_skips_beside_its_scores(
    experiment: Experiment, capsys: pytest.CaptureFixture[str]
):
    config, run = experiment(*SKIP, "experiment.blind_baseline=false")
    assert main(["train", "--config", config]) == 0
    checkpoint, source = str(run / "finetune" / "last"), str(run.parents[1] / "m.csv")
    status = main(["eval", "--config", config, "--checkpoint-dir", checkpoint, "--csv-input", source])
    assert status == 0, capsys.readouterr().err[-2000:]
    assert [row["rows"] for row in json.loads((run / "eval-m" / "skipped.json").read_text())] == [[12, 13]]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_names_file_and_row_from_any_process(
    experiment: Experiment, capsys: pytest.CaptureFixture[str], workers: int
):
    config, _ = experiment(f"data.workers={workers}")
    status, said = main(["train", "--config", config]), capsys.readouterr().err
    message = said[said.index("\nerror: ") :] if "\nerror: " in said else said
    assert status == 1
    assert "m.csv, row 12: " in message and "5.jpg: the image is truncated" in message
    assert "Traceback" not in message and "Caught" not in message


def test_an_image_that_turns_bad_between_stages_is_an_error_and_not_gone(
    experiment: Experiment, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    from panollava.training import stages
    from panollava.workflow import training

    config, run = experiment(*SKIP, "data.max_bad_fraction=0.5", "data.cache_features=false")
    whole = stages.run_stage

    def then_one_breaks(model: Any, row: Any, *rest: Any, **named: Any) -> Any:
        outcome = whole(model, row, *rest, **named)
        (run.parents[1] / "2.jpg").write_bytes(b"no image any more")
        return outcome

    monkeypatch.setattr(training, "run_stage", then_one_breaks)
    assert main(["train", "--config", config]) == 1
    assert "2.jpg" in capsys.readouterr().err
    assert {row["image"].rsplit("/", 1)[-1] for row in json.loads((run / "skipped.json").read_text())} == {"5.jpg"}
