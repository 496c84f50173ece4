"""From panoramas to scores, by the documented doors."""

import csv
import json
import runpy
import shutil
import sys
from pathlib import Path

import pytest

from panollava.cli import main

ROOT = Path(__file__).parents[2]
PANOS = ROOT.parent / "shared" / "panos"


def door(script, *words, monkeypatch):
    """Run a script of the repository as ``python SCRIPT WORDS`` does, in this process; return its exit status."""
    path = ROOT / script
    monkeypatch.setattr(sys, "argv", [str(path), *map(str, words)])
    monkeypatch.setattr(sys, "path", [str(path.parent), str(ROOT), *sys.path])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(path), run_name="__main__")
    return stop.value.code


def predictions(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_readme_snippet_trains_and_evaluates(readme_run):
    folder, names = readme_run
    run = folder / "runs" / "tiny"
    assert folder / names["final_ckpt"] == run / "finetune" / "last"
    metrics = names["metrics"]
    assert metrics == json.loads((run / "metrics.json").read_text())
    rows = predictions(run / "predictions.csv")
    assert len(rows) == metrics["test"]["questions"] == 10
    assert list(rows[0])[:4] == ["image_path", "original_query", "prediction", "reference"]
    assert 0 <= metrics["model"]["accuracy"] <= 1
    assert metrics["model"]["captions"]["bleu4"]["value"] is not None
    assert [row["name"] for row in json.loads((run / "stages.json").read_text())] == ["vision", "resampler", "finetune"]
    assert {p.name for p in run.iterdir()} >= {"config.yaml", "logs", "vision", "resampler", "finetune"}


def test_test_questions_are_about_panoramas_that_were_not_trained_on(readme_run, panoramas):
    tested = {Path(row["image_path"]).name for row in predictions(readme_run.folder / "runs/tiny/predictions.csv")}
    trained = {p.image.name for split in ("train", "val") for p in panoramas(split)}
    assert tested and not tested & trained


@pytest.mark.parametrize("below", ["runs/tiny/finetune/last", "runs/tiny/finetune", "runs/tiny", "runs"])
def test_a_checkpoint_and_every_folder_above_it_are_accepted(readme_run, below, tmp_path, monkeypatch):
    from panollava.workflow import EvaluationRunner

    monkeypatch.chdir(readme_run.folder)
    metrics = EvaluationRunner().run(checkpoint_dir=below, out_dir=tmp_path)
    assert Path(metrics["checkpoint"]) == Path("runs/tiny/finetune/last")
    first = readme_run.names["metrics"]
    assert metrics["model"] == first["model"]


LAYOUTS = {
    "url.csv": (["url", "query", "annotation"], lambda image, q, a: [image, q, a]),
    "reference.csv": (
        ["image_path", "original_query", "prediction", "reference"],
        lambda image, q, a: [image, q, "old", a],
    ),
    "instruction.csv": (["url", "instruction", "response"], lambda image, q, a: [image, q, a]),
}


@pytest.fixture
def manifests(panoramas, tmp_path):
    """Write the same four questions in every layout; return {name: path}."""
    rows = [(str(p.image), s.query, s.answer) for p in panoramas("train")[:2] for s in p.samples[:2]]
    paths = {name: tmp_path / name for name in (*LAYOUTS, "llava.json", "flat.jsonl")}
    for name, (heading, cells) in LAYOUTS.items():
        with paths[name].open("w", newline="") as file:
            csv.writer(file).writerows([heading, *(cells(*row) for row in rows)])
    talk = [[{"from": "human", "value": f"<image>\n{q}"}, {"from": "gpt", "value": a}] for _, q, a in rows]
    items = [
        {"id": str(i), "image": row[0], "conversations": t} for i, (row, t) in enumerate(zip(rows, talk, strict=True))
    ]
    paths["llava.json"].write_text(json.dumps(items))
    lines = [json.dumps({"image": image, "query": q, "answer": a}) for image, q, a in rows]
    paths["flat.jsonl"].write_text("\n".join(lines))
    return paths


@pytest.mark.parametrize("name", [*LAYOUTS, "llava.json", "flat.jsonl"])
def test_every_layout_trains_a_model(tiny_config, manifests, tmp_path, name):
    """The same questions in another layout are the same training, bit for bit."""
    from panollava.workflow import ThreeStageTrainer, WorkflowConfig

    def train(manifest, runs):
        cfg = tiny_config("data.val=[]", "stages.resampler.max_steps=1", runs=tmp_path / runs)
        last = Path(ThreeStageTrainer(WorkflowConfig(cfg).with_training_files([manifest])).run(stages=["resampler"]))
        return (last / "projector.safetensors").read_bytes()

    wanted = train(manifests["flat.jsonl"], "wanted")
    assert train(manifests[name], "got") == wanted


def test_several_files_are_mixed(tiny_config, manifests):
    from panollava.data.sources import training_panoramas
    from panollava.workflow import WorkflowConfig

    cfg = WorkflowConfig(tiny_config()).with_training_files([manifests["url.csv"], manifests["flat.jsonl"]]).config
    groups = training_panoramas(cfg.data.train, cfg, split="train")
    assert len(groups) == 2 and sum(len(g.samples) for g in groups) == 8


def test_a_bad_row_stops_the_training_and_is_named(tiny_config, manifests, tmp_path, capsys):
    from panollava.config import dump_config
    from panollava.workflow import WorkflowConfig

    bad = manifests["url.csv"]
    bad.write_text(bad.read_text() + "nowhere.jpg,what?,nothing\n")
    cfg = WorkflowConfig(tiny_config(runs=tmp_path / "runs")).with_training_files([bad]).config
    (tmp_path / "config.yaml").write_text(dump_config(cfg))
    assert main(["train", "--config", str(tmp_path / "config.yaml")]) == 1
    said = capsys.readouterr().err
    assert "url.csv, row 6, column 'url'" in said and "nowhere.jpg" in said and "Traceback" not in said


def test_ask_answers_on_a_line_of_its_own(readme_run, panoramas, capsys):
    words = ["ask", str(panoramas("test")[0].image), "what is behind me?", "up?"]
    assert main([*words, "--checkpoint", str(readme_run.folder / "runs")]) == 0
    from panollava.inference.session import Session

    session = Session.load(readme_run.folder / "runs")
    wanted = session.ask_many(panoramas("test")[0].image, ["what is behind me?", "up?"])
    assert capsys.readouterr().out == "".join(f"{text}\n" for text in wanted)


def test_views_shows_what_the_model_sees(readme_run, panoramas, tmp_path, capsys):
    config = ["--config", str(readme_run.folder / "configs" / "default.yaml")]
    assert main(["views", str(panoramas("test")[0].image), "--out", str(tmp_path), "--json", *config]) == 0
    report = json.loads(capsys.readouterr().out)
    assert len(report["views"]) == 9
    assert all(Path(file).stat().st_size > 0 for file in report["files"])


@pytest.mark.skipif(not PANOS.is_dir(), reason="no real panoramas: ../shared/panos is absent")
def test_a_real_photograph_passes_views_and_ask(readme_run, tmp_path, capsys):
    photograph = str(PANOS / "lebombo.jpg")
    assert main(["views", photograph, "--out", str(tmp_path), "--size-px", "96"]) == 0
    assert (tmp_path / "lebombo_views.png").stat().st_size > 10_000
    assert main(["ask", photograph, "what is behind me?", "--checkpoint", str(readme_run.folder / "runs")]) == 0
    assert capsys.readouterr().out.endswith("\n")


def test_quick_lora_train_goes_from_a_preset_to_scores_and_report(readme_run, zoo, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = readme_run.folder / "configs" / "default.yaml"
    words = ["--model", zoo.language("llama"), "--lora-r", "2", "--lora-alpha", "4", "--config", config]
    assert door("quick_lora_train.py", *words, monkeypatch=monkeypatch) == 0
    run, out = tmp_path / "runs" / "lora_llama_r2_a4", capsys.readouterr().out
    assert "all questions" in out and "BLEU-4" in out
    assert out.strip().splitlines()[-1].split() == ["report", "runs/lora_llama_r2_a4/report.html"]
    assert (run / "report.html").is_file() and (run / "predictions.csv").is_file()
    from safetensors.torch import load_file

    adapter = load_file(run / "finetune" / "last" / "adapter.safetensors")
    assert {w.shape[0] for n, w in adapter.items() if "lora_A" in n} == {2}
    assert all(w.abs().max() > 0 for n, w in adapter.items() if "lora_B" in n)


def test_eval_scores_a_csv_of_predictions(readme_run, monkeypatch, capsys):
    written = readme_run.folder / "runs" / "tiny" / "predictions.csv"
    assert door("scripts/eval.py", "--csv-input", written, monkeypatch=monkeypatch) == 0
    assert "BLEU" in capsys.readouterr().out


def test_eval_answers_a_csv_with_a_checkpoint(readme_run, manifests, monkeypatch, capsys):
    run = readme_run.folder / "runs" / "tiny"
    monkeypatch.chdir(readme_run.folder)
    words = ["--checkpoint-dir", run, "--csv-input", manifests["url.csv"]]
    assert door("scripts/eval.py", *words, monkeypatch=monkeypatch) == 0
    rows = predictions(run / "eval-url" / "predictions.csv")
    assert len(rows) == 4
    assert json.loads((run / "eval-url" / "metrics.json").read_text())["model"]["caption_items"] == 4
    assert "BLEU-4" in capsys.readouterr().out


def test_eval_runs_the_whole_pipeline_from_a_configuration(readme_run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = shutil.copy(readme_run.folder / "configs" / "default.yaml", tmp_path)
    words = ["--config", config, "experiment.blind_baseline=true", "experiment.name=whole"]
    words += ["experiment.untrained_baseline=true"]
    assert door("scripts/eval.py", *words, monkeypatch=monkeypatch) == 0
    run = tmp_path / "runs" / "whole"
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["blind"]["questions"] == metrics["model"]["questions"]
    assert metrics["blind"] != metrics["model"]
    assert metrics["untrained"]["questions"] == metrics["model"]["questions"]
    assert metrics["untrained"]["perplexity"]["corpus"] > metrics["model"]["perplexity"]["corpus"]
    assert len(predictions(run / "untrained_predictions.csv")) == len(predictions(run / "predictions.csv"))
    assert {"data", "stage vision", "stage resampler", "stage finetune", "blind baseline"} <= set(metrics["seconds"])
    assert metrics["peak_memory_mb"] > 100
    page = (run / "report.html").read_text()
    assert "<html" in page and page.count('src="data:') > 0 and 'src="http' not in page
    assert "all questions" in capsys.readouterr().out
    # the blind twin beside it is no second candidate
    assert main(["eval", "--checkpoint-dir", str(run)]) == 0


def test_the_runner_is_a_door_to_the_whole_pipeline(monkeypatch, capsys):
    assert door("workflow/runner.py", "--help", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out.startswith("usage: panollava run")


def test_select_model_lists(monkeypatch, capsys):
    assert door("select_model.py", "--list", monkeypatch=monkeypatch) == 0
    assert "qwen_0.5b" in capsys.readouterr().out


def test_running_the_same_twice_gives_the_same_answers(readme_run, tmp_path):
    from panollava.workflow import ThreeStageTrainer, WorkflowConfig

    cfg = WorkflowConfig.load(readme_run.folder / "configs/default.yaml", overrides=[f"paths.runs={tmp_path}"])
    again = Path(ThreeStageTrainer(cfg).run())
    first = readme_run.folder / "runs" / "tiny" / "finetune" / "last"
    for file in first.glob("*.safetensors"):
        assert (again / file.name).read_bytes() == file.read_bytes(), file.name
