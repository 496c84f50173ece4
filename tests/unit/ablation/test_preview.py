"""What a dry run says: arms, differences, what is shared, and costs with what they rest on."""

import json
from pathlib import Path

import pytest

from panollava.ablation.cost import checkpoint_bytes, network, peak_memory, stage_flops
from panollava.ablation.estimate import units
from panollava.ablation.preview import preview
from panollava.ablation.standing import note_done
from panollava.ablation.study import load_study
from panollava.cli import main
from panollava.config import build_config
from panollava.models.build import build_model

CONFIGS = Path(__file__).parents[3] / "configs"


def test_the_readmes_study_with_the_real_models_is_planned_offline(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["ablate", "--config", str(CONFIGS / "lora_ablation.yaml"), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "my_ablation_study: 2 arms, 2 runs, 2 to do" in out
    assert "r32-a64" in out and "lora.r=32" in out and "GiB" in out
    assert "unknown: no run of this study is done; give --flops" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 100
    assert (
        main(["ablate", "--config", str(CONFIGS / "lora_ablation.yaml"), "--dry-run", "--json", "--flops", "1e14"]) == 0
    )
    tree = json.loads(capsys.readouterr().out)
    assert tree["arms"][0]["vision_tokens"] == 8 * 49 + 98
    assert [entry["stages"] for entry in tree["shared_stages"]] == [["vision", "resampler"]]
    assert tree["arms"][0]["seconds_per_run"] > 0
    assert "operations at 1e+14 a second" in tree["time_basis"]


def test_a_dry_run_writes_nothing(write, capsys):
    path = write()
    assert main(["ablate", "--config", str(path), "--dry-run"]) == 0
    assert not (path.parent / "runs").exists()


def test_every_stage_is_trained_in_one_unit(write):
    study = load_study(write())
    found = units(study)
    stages = sorted((unit.run.seed, row.name) for unit in found if not unit.blind for row in unit.rows)
    assert stages == sorted(
        (seed, name) for seed in (0, 1) for name in ["vision"] + 2 * ["resampler"] + 4 * ["finetune"]
    )
    blind = [unit for unit in found if unit.blind and unit.rows]
    assert len(blind) == 4  # by rank and seed


def test_measured_times_are_those_of_runs_that_are_done(write):
    steps = "set: {stages.finetune.epochs: null, stages.finetune.max_steps: 30}\nseeds:"
    study = load_study(write(changes=(("seeds:", steps),)))
    run = study.runs[0]
    run.folder.mkdir(parents=True)
    (run.folder / "stages.json").write_text(json.dumps([{"name": "finetune", "seconds": 6.0, "steps": 3}]))
    (run.folder / "metrics.json").write_text(json.dumps({"seconds": {"evaluation": 5.0, "stage finetune": 6.0}}))
    note_done(run, seconds=11.0, peak_memory_mb=1.0)
    tree = preview(study)
    assert tree["time_basis"] == "measured in 1 runs of this study that are done"
    own = {arm["name"]: arm["seconds_per_run"] for arm in tree["arms"]}
    assert own["r4-position.kind=ray"] == pytest.approx(30 * 2 + 5)
    assert own["r8-position.kind=ray"] == pytest.approx(65, rel=0.05)
    assert tree["seconds"] is None  # the shared stages have not been measured
    assert tree["to_do"] == 7


def test_the_weights_of_models_and_of_checkpoints_are_counted_right():
    cfg = build_config({})
    model = build_model(cfg, adapter=True)
    counts: dict[str, int] = {}
    for component, _, parameter in model.component_parameters():
        counts[component] = counts.get(component, 0) + parameter.numel()
    assert network(cfg.language.model, role="language").parameters == pytest.approx(counts["language"], rel=0.02)
    assert network(cfg.vision.model, role="vision").parameters == pytest.approx(counts["vision"], rel=0.05)
    held = 4 * sum(counts[part] for part in ("vision", "resampler", "projector", "adapter"))
    assert checkpoint_bytes(cfg, cfg.stages) == pytest.approx(3 * held - 2 * 4 * counts["adapter"], rel=0.05)


def test_costs_grow_with_what_is_done():
    base = build_config({}, overrides=["stages.finetune.epochs=null", "stages.finetune.max_steps=10"])
    twice = build_config({}, overrides=["stages.finetune.epochs=null", "stages.finetune.max_steps=20"])
    flops = [stage_flops(cfg, cfg.stage("finetune"), text_tokens=24) for cfg in (base, twice)]
    assert 1.5 < flops[1] / flops[0] <= 2
    assert stage_flops(base, base.stage("finetune"), text_tokens=24, blind=True) < flops[0]
    assert stage_flops(base, base.stage("resampler"), text_tokens=24) is None  # epochs
    large = build_config({}, overrides=["stages.finetune.batch_size=16"])
    assert peak_memory(large, text_tokens=24) > peak_memory(base, text_tokens=24)
    unknown = build_config({"language": {"model": "someone/unknown"}})
    assert peak_memory(unknown, text_tokens=24) is None
