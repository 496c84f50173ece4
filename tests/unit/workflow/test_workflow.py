"""The documented objects: what they accept, and what they say to what they do not."""

import json
from pathlib import Path

import pytest
from filelock import FileLock

from panollava.errors import CheckpointError, ConfigError, DataError
from panollava.workflow import EvaluationRunner, ThreeStageTrainer, WorkflowConfig, compute_text_metrics, training


@pytest.fixture
def config(tiny_tree, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps(tiny_tree(runs=tmp_path / "runs")))
    return path


def test_a_file_as_an_object(config, tmp_path):
    cfg = WorkflowConfig.load(config, overrides=["experiment.name=mine"])
    assert cfg.run_dir == tmp_path / "runs" / "mine"
    assert cfg.config.lora.r == 4


def test_the_order_of_stages_may_be_forced(config):
    cfg = WorkflowConfig.load(config).with_stages(["finetune", "vision"])
    assert [row.name for row in cfg.config.stages] == ["finetune", "vision"]
    assert cfg.config.stage("finetune").trains[-1] == "adapter"
    with pytest.raises(ConfigError, match=r"'visoin'. Did you mean 'vision'"):
        cfg.with_stages(["visoin"])


def test_files_may_be_trained_on(config):
    cfg = WorkflowConfig.load(config).with_training_files(["a.csv", Path("b.jsonl")])
    assert [(e.source, e.weight) for e in cfg.config.data.train] == [("a.csv", 1.0), ("b.jsonl", 1.0)]


def test_an_unknown_stage_is_refused_before_anything_is_built(config):
    with pytest.raises(ConfigError, match=r"unknown stage 'finetun'. Did you mean 'finetune'"):
        ThreeStageTrainer(WorkflowConfig.load(config)).run(stages=["finetun"])


def test_a_blind_run_needs_an_adapter_to_train(config):
    cfg = WorkflowConfig.load(config).with_stages(["resampler"])
    with pytest.raises(ConfigError, match="the blind baseline needs a stage that trains the adapter"):
        ThreeStageTrainer(cfg, blind=True).run()


def test_a_stage_may_start_from_a_checkpoint(tiny_config, three_stages, tmp_path):
    from panollava.checkpoints.format import read_meta

    cfg = tiny_config(
        "stages.resampler.lr={resampler: 1e-30, projector: 1e-30, position: 1e-30}",
        "stages.resampler.max_steps=1",
        runs=tmp_path,
    )
    trainer = ThreeStageTrainer(cfg)
    last = Path(trainer.run(stages=["resampler"], start_from=three_stages.checkpoint))
    assert set(read_meta(last).components) == {"adapter", "position", "projector", "resampler", "vision"}
    for name in ("adapter", "vision"):
        file = f"{name}.safetensors"
        assert (last / file).read_bytes() == (three_stages.checkpoint / file).read_bytes()
    assert [row["name"] for row in json.loads((trainer.run_dir / "stages.json").read_text())] == ["resampler"]


def test_without_a_checkpoint_the_message_says_what_to_give(tmp_path, config):
    with pytest.raises(DataError, match="give a checkpoint_dir, or a configuration"):
        EvaluationRunner().run()
    with pytest.raises(CheckpointError, match="does not exist"):
        EvaluationRunner(WorkflowConfig.load(config)).run()


def test_an_empty_test_set_is_said(tiny_config, three_stages, tmp_path):
    cfg = tiny_config("data.test=[]", runs=three_stages.run_dir.parent)
    with pytest.raises(DataError, match=r"nothing to test on: data.test has no samples"):
        EvaluationRunner(cfg).run(out_dir=tmp_path)


def test_metrics_from_two_lists():
    scores = compute_text_metrics(["a red ball on the grass"], ["a red ball on the grass"], metrics=["bleu4", "spice"])
    assert scores["bleu4"] == pytest.approx(1.0) or scores["bleu4"] == pytest.approx(100.0)
    assert scores["spice"] is None


def test_a_new_run_does_not_keep_the_baseline_of_the_one_before(config):
    cfg = WorkflowConfig.load(config)
    ThreeStageTrainer(cfg).run(stages=["vision"])
    (cfg.run_dir / "blind").mkdir()
    ThreeStageTrainer(cfg).run(stages=["vision"], resume="auto")
    assert (cfg.run_dir / "blind").is_dir()
    ThreeStageTrainer(cfg).run(stages=["vision"], resume="never")
    assert not (cfg.run_dir / "blind").exists()


def test_two_processes_do_not_train_in_one_folder(config, monkeypatch):
    monkeypatch.setattr(training, "_LET_GO_S", 0.1)
    cfg = WorkflowConfig.load(config)
    lock = FileLock(cfg.run_dir.with_name(".tiny.train.lock"))
    with lock, pytest.raises(ConfigError, match=r"another process trains in .*tiny; wait for it"):
        ThreeStageTrainer(cfg).run(stages=["vision"])
    assert not cfg.run_dir.exists()
    ThreeStageTrainer(cfg).run(stages=["vision"])


def test_files_of_a_run_are_whole_or_as_they_were(config, monkeypatch):
    """A disk that is full while a run is resumed must not cost what says what it is."""
    cfg = WorkflowConfig.load(config)
    ThreeStageTrainer(cfg).run(stages=["vision"])
    before = (cfg.run_dir / "config.yaml").read_text()

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("panollava.checkpoints.durable.os.fsync", full)
        other = WorkflowConfig.load(config, overrides=["trainer.log_every=3"])
        with pytest.raises(OSError, match="No space left"):
            ThreeStageTrainer(other).run(stages=["vision"], resume="auto")
    assert (cfg.run_dir / "config.yaml").read_text() == before
    (cfg.run_dir / "stages.json").write_text("[{")
    assert ThreeStageTrainer(cfg).run(stages=["vision"], resume="auto").endswith("vision/last")
