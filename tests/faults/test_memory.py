"""Memory that runs out in evaluation: batches halve, the answers stay, and at one the message says what to change.

R7 of the fault matrix. Allocations are refused where a size is too large (as CUDA would, and as the CPU's allocator
does), and once for real, by a limit of the address space of a process.
"""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from panollava.errors import OutOfMemory
from panollava.evaluation.predict import answer
from panollava.inference.session import Session
from panollava.training.feeds import feature_store

CUDA = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79 GiB")
CPU = RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory")
CUBLAS = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")
NUMPY = MemoryError("Unable to allocate 7.11 GiB for an array")


@pytest.fixture(scope="module")
def model(three_stages):
    return Session.load(three_stages.run_dir, device="cpu").model


@pytest.fixture(scope="module")
def samples(panoramas):
    return [sample for p in panoramas("train")[:5] for sample in p.samples]


@pytest.fixture
def asked(model, samples, tiny_config):
    """Return a function that answers the samples with batches of a size."""

    def ask(panoramas=4, questions=16):
        cfg = tiny_config(f"evaluation.batch_size={panoramas}", f"generation.batch_size={questions}")
        return answer(model, samples, cfg, store=feature_store(model, cfg))

    return ask


@pytest.fixture
def refuse(model, monkeypatch):
    """Return a function that lets a call of the model fail by a size of its own."""

    def make(name, size_of, *, most, error):
        call = getattr(model, name)

        def limited(*args, **kwargs):
            if size_of(*args, **kwargs) > most:
                raise error
            return call(*args, **kwargs)

        monkeypatch.setattr(model, name, limited)

    return make


def questions_together(features, queries, *, batch_size, **_):
    return min(batch_size, len(queries))


def panoramas_together(features, queries, **_):
    return len(features[0])


def references_together(batch):
    return int(batch.text.segments.max())


@pytest.mark.parametrize("error", [CUDA, CPU, CUBLAS, NUMPY], ids=["cuda", "cpu", "cublas", "numpy"])
@pytest.mark.parametrize("most", [1, 3, 7])
def test_too_many_questions_are_asked_in_smaller_batches(asked, refuse, most, error):
    wanted = asked()
    refuse("generate", questions_together, most=most, error=error)
    assert asked() == wanted


@pytest.mark.parametrize("most", [1, 2])
def test_too_many_panoramas_are_held_in_smaller_batches(asked, refuse, most, caplog):
    wanted = asked()
    refuse("generate", panoramas_together, most=most, error=CUDA)
    with caplog.at_level(logging.WARNING):
        assert asked() == wanted
    told = [r.message for r in caplog.records if "panoramas at a time" in r.message]
    assert len(told) == len(set(told)) == (2 if most == 1 else 1)


@pytest.mark.parametrize("most", [1, 2])
def test_too_many_references_are_weighed_in_smaller_batches(asked, refuse, most):
    wanted = asked()
    refuse("supervised_logits", references_together, most=most, error=CPU)
    got = asked()
    assert got.samples == wanted.samples and got.tokens == wanted.tokens
    assert got.nll == pytest.approx(wanted.nll, rel=1e-5)


def test_one_question_that_is_too_much_stops_with_advice(asked, refuse):
    refuse("generate", questions_together, most=0, error=CUDA)
    with pytest.raises(OutOfMemory, match=r"questions, 1 at a time\): CUDA out of memory") as caught:
        asked()
    for key in ("generation.max_new_tokens", "language.quantization", "views.size_px"):
        assert key in str(caught.value)


def test_one_panorama_that_is_too_much_to_encode_stops_with_advice(three_stages, refuse, model, panoramas):
    refuse("encode", lambda views: len(views[0]), most=0, error=CPU)
    session = Session(model, three_stages.cfg, Session.load(three_stages.run_dir).meta)
    with pytest.raises(OutOfMemory, match=r"panoramas, 1 at a time\): \[enforce fail"):
        session.ask(panoramas("train")[0].image, "what?")


def test_a_session_answers_many_questions_in_smaller_batches(three_stages, refuse, model, panoramas):
    session = Session(model, three_stages.cfg, Session.load(three_stages.run_dir).meta)
    image, questions = panoramas("train")[0].image, [f"is it {n}?" for n in range(7)]
    wanted = session.ask_many(image, questions)
    refuse("generate", questions_together, most=2, error=CUDA)
    assert session.ask_many(image, questions) == wanted


def test_another_error_of_the_runtime_passes_through(asked, refuse):
    refuse("generate", questions_together, most=3, error=RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        asked()


LIMITED = """
import json, logging, os, resource, sys
from pathlib import Path
import torch
from panollava.config import build_config
from panollava.data.manifest import Sample
from panollava.evaluation.predict import answer
from panollava.models.build import build_model

torch.set_num_threads(1)
logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
tree, spare, count = json.loads(Path(sys.argv[1]).read_text()), int(sys.argv[2]) << 20, 600
image = Path("unread.jpg")
samples = [
    Sample(image, f"is there{' one' * (i % 7)} ball {i}", "yes" * (1 + i % 5), "count", str(i), "i", "m", i)
    for i in range(count)
]
model = build_model(build_config(tree, origin="test"), blind=True).eval()

def told(batch):
    cfg = build_config(tree, overrides=[f"generation.batch_size={batch}"], origin="test")
    return answer(model, samples, cfg, store=None)

wanted = told(16)  # also takes what libraries take once
held = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
resource.setrlimit(resource.RLIMIT_AS, (held + spare, held + spare))
got = told(count)
assert got.samples == wanted.samples and got.tokens == wanted.tokens
assert all(abs(a - b) <= 1e-4 * b for a, b in zip(got.nll, wanted.nll))
print("equal")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space as Linux has them")
def test_a_real_limit_gives_the_same_answers_in_smaller_batches(tiny_tree, tmp_path):
    """600 questions together need about 100 MiB more than 16; the process may take 48 MiB."""
    (tmp_path / "tree.json").write_text(json.dumps(tiny_tree()))
    script = tmp_path / "limited.py"
    script.write_text(LIMITED)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "tree.json"), "48"],
        env={**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}, cwd=Path.cwd(),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "equal"
    assert "out of memory with 600 questions at a time" in done.stderr
