"""The benchmark of attention measures the kernels that are there and says why the others are not."""

import pytest
import torch

from panollava.cli.program import main
from panollava.data.pack import PAD_SEGMENT
from panollava.errors import ModelError
from panollava.models import attention_bench
from panollava.models.attention import PackedAttention
from panollava.models.attention_bench import DENSE, BatchShape, measure_kernels

SMALL = BatchShape(panoramas=3, prefix=6, questions=2, branch=3, heads=4, key_heads=2, head_dim=8)
OPTIONS = {"panoramas": 3, "prefix": 6, "questions": 2, "branch": 3, "heads": 4, "key-heads": 2, "head-dim": 8}
WORDS = [word for name, value in {**OPTIONS, "rounds": 1}.items() for word in (f"--{name}", str(value))]


def test_the_batch_is_what_it_says():
    text = SMALL.text("cpu")
    assert SMALL.padded == text.segments.numel() == 36
    assert SMALL.tokens == int((text.segments != PAD_SEGMENT).sum()) == 33
    assert PackedAttention.fits(text)


def test_what_can_run_is_measured_and_what_cannot_says_why():
    rows = {row.kernel: row for row in measure_kernels(SMALL, device="cpu", dtype=torch.float32, rounds=1)}
    assert set(rows) == {DENSE, "eager", "sdpa", "flex_attention", "varlen", "flash_attention_2", "flash_attention_3"}
    for name in (DENSE, "sdpa"):
        assert rows[name].reason == "" and rows[name].forward_ms > 0 and rows[name].distance < 1e-5
    assert rows["varlen"].reason == "needs a CUDA device"


def test_a_kernel_that_computes_something_else_is_seen(monkeypatch):
    call = PackedAttention.__call__
    monkeypatch.setattr(PackedAttention, "__call__", lambda *a, **k: call(*a, **k) + 1.0)
    rows = {row.kernel: row for row in measure_kernels(SMALL, device="cpu", dtype=torch.float32, rounds=1)}
    assert rows["sdpa"].distance == pytest.approx(1.0, abs=1e-4) and rows[DENSE].distance < 1e-5


def test_the_verb_prints_a_line_per_kernel(capsys):
    assert main(["bench", "attention", "--device", "cpu", *WORDS]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "3 panoramas: 33 tokens in 36 places of a padded batch"
    assert [line.split("  ")[0] for line in lines[3:5]] == [DENSE, "eager"]
    assert any(line.startswith("varlen") and line.endswith("needs a CUDA device") for line in lines)


def test_heads_that_do_not_divide_are_refused(capsys):
    with pytest.raises(ModelError, match="key_heads divides heads"):
        BatchShape(heads=3, key_heads=2)
    assert main(["bench", "attention", "--heads", "3"]) == 1
    assert "key_heads divides heads" in capsys.readouterr().err


def test_the_quickest_round_counts(monkeypatch):
    ticks = iter([0.0, 5.0, 9.0, 10.0, 12.0, 15.0, 20.0, 21.0, 22.0])  # a slow warm-up, then 2 + 3 s and 1 + 1 s
    monkeypatch.setattr(attention_bench, "_now", lambda *, gpu: next(ticks))
    first = next(measure_kernels(SMALL, device="cpu", dtype=torch.float32, rounds=2))
    assert (first.forward_ms, first.backward_ms) == (1000.0, 1000.0)
