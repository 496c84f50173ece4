"""What is counted, what it is divided by, and where it shows."""

import csv

import pytest
import torch

from panollava.data.pack import PackedText
from panollava.models.build import build_model
from panollava.models.vlm import PanoramaBatch
from panollava.training.freeze import set_trainable
from panollava.training.speed import Speed, batch_size, flops_per_token, peak_flops
from panollava.training.stages import run_stage


def test_a_batch_is_counted_in_questions_tokens_and_padding():
    segments = torch.tensor([[0, 0, 1, 1, 2, -1, -1], [0, 0, 1, 1, 1, 2, 3]])
    text = PackedText(segments, segments, segments, segments)
    size = batch_size(PanoramaBatch(None, text))
    assert (size.rows, size.tokens, size.padded) == (5, 12, 2)


def test_views_alone_are_counted_in_panoramas():
    size = batch_size((torch.zeros(3, 8, 2, 2, 3), torch.zeros(3, 1, 2, 4, 3)))
    assert (size.rows, size.tokens, size.padded) == (3, 0, 0)


@pytest.mark.parametrize(
    ("device", "precision", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", "bf16-true", 989e12),
        ("NVIDIA H100 PCIe", "16-mixed", 756e12),
        ("NVIDIA L40S", "bf16-mixed", 362e12),
        ("NVIDIA L4", "bf16-mixed", 121e12),
        ("NVIDIA H100 PCIe", "32-true", None),
        ("cpu", "bf16-mixed", None),
    ],
)
def test_the_peak_is_that_of_the_first_name_that_fits(device, precision, peak):
    assert peak_flops(device, precision=precision) == peak


def test_operations_are_four_for_frozen_and_six_for_trained_weights(tiny_model):
    model = tiny_model(adapter=True)
    set_trainable(model, ["adapter"], vision_blocks=0)
    counts = {"adapter": 0, "language": 0}
    for component, name, p in model.component_parameters():
        if component in counts and "embed_tokens" not in name:  # tied: the head is the embedding
            counts[component] += p.numel()
    assert counts["adapter"] > 0
    assert flops_per_token(model) == 6 * counts["adapter"] + 4 * counts["language"]


def test_rates_are_what_was_read_over_the_time_without_validation(tiny_model, monkeypatch):
    model = tiny_model()
    clock = iter([0.0, 2.0, 10.0, 15.0, 17.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    speed = Speed(model, device="NVIDIA A100-SXM4-80GB", precision="bf16-mixed")

    class Module:
        def log_dict(self, shown, **_):
            self.shown = shown

    segments = torch.tensor([[0, 1, 2, -1]])
    batch, module = PanoramaBatch(None, PackedText(segments, segments, segments, segments)), Module()
    speed.on_train_start(None, module)
    speed.on_train_batch_end(None, module, None, batch, 0)  # 2 s
    speed.on_validation_start(None, module)
    speed.on_validation_end(None, module)  # from 10 to 15
    speed.on_train_batch_end(None, module, None, batch, 1)  # 17 - 2 - 5 = 10 s
    assert module.shown["speed/rows_per_s"] == pytest.approx(4 / 12)
    assert module.shown["speed/tokens_per_s"] == pytest.approx(6 / 12)
    assert module.shown["speed/padding"] == 0.25
    assert module.shown["speed/mfu"] == pytest.approx(0.5 * flops_per_token(model) / 312e12)
    assert speed.note().startswith("0.3 rows/s, 0 tokens/s, 25% padding, 0% of peak")


def test_speed_is_in_the_logs_and_in_the_outcome(tiny_config, panoramas, tmp_path):
    cfg = tiny_config()
    model = build_model(cfg)
    outcome = run_stage(
        model, cfg.stage("resampler"), cfg, train=panoramas("train"), val=(), run_dir=tmp_path, trained=set()
    )
    [*_, last] = csv.DictReader((tmp_path / "logs" / "resampler" / "metrics.csv").open())
    assert {"rows_per_s", "tokens_per_s", "padding"} == outcome.speed.keys()
    assert float(last["speed/rows_per_s"]) == pytest.approx(outcome.speed["rows_per_s"])
    assert 0 <= float(last["speed/padding"]) < 1
