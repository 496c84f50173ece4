"""An evaluation gives one file of predictions, whatever its batches, the order of its questions, and who kills it.

E1 of the fault matrix: same seed, batch 1 and 8, shuffled, killed with SIGKILL in the middle (between two answers and
inside a row) and resumed; the sha256 of predictions.csv is that of an undisturbed run, no sample twice, none lost.
"""

import csv
import hashlib
import json
import os
import random
import shutil
import signal

import pytest

from panollava.data.manifest import read_manifest
from panollava.evaluation import journal as journal_module
from panollava.inference.session import Session
from panollava.workflow import EvaluationRunner
from panollava.workflow.evaluation import evaluate

ALL = os.environ.get("PANOLLAVA_FAULTS") == "all"
SAMPLED = ("generation.temperature=1.2",)


@pytest.fixture(scope="module")
def model(three_stages):
    return Session.load(three_stages.run_dir, device="cpu").model


@pytest.fixture(scope="module")
def samples(panoramas):
    return [sample for split in ("train", "val", "test") for p in panoramas(split) for sample in p.samples]


@pytest.fixture(scope="module")
def manifest(samples, tmp_path_factory):
    file = tmp_path_factory.mktemp("manifest") / "questions.jsonl"
    rows = [
        {"image": str(s.image), "query": s.query, "answer": s.answer, "type": s.kind, "id": s.sample_id}
        for s in samples
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture
def predicted(model, samples, tiny_config, tmp_path):
    """Return a function that evaluates in this process and gives the file of predictions."""

    def make(*overrides, samples=samples):
        out = tmp_path / "predictions.csv"
        evaluate(model, samples, tiny_config(*overrides), out=out, title="test")
        return out

    return make


def sha(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("decoding", [(), SAMPLED], ids=["greedy", "sampled"])
@pytest.mark.parametrize("sizes", [(1, 1), (1, 32), (8, 1), (8, 3), (3, 7)])
def test_batch_sizes_change_no_byte(predicted, sizes, decoding):
    wanted = sha(predicted(*decoding))
    panoramas, questions = sizes
    again = predicted(f"evaluation.batch_size={panoramas}", f"generation.batch_size={questions}", *decoding)
    assert sha(again) == wanted


@pytest.mark.parametrize("decoding", [(), SAMPLED], ids=["greedy", "sampled"])
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_samples_changes_no_row(predicted, samples, seed, decoding):
    wanted = predicted(*decoding).read_text().splitlines()
    shuffled = random.Random(seed).sample(samples, len(samples))
    got = predicted(*decoding, samples=shuffled).read_text().splitlines()
    assert got[1:] != wanted[1:] and sorted(got[1:]) == sorted(wanted[1:])


def test_another_seed_gives_other_samples_and_the_same_one_the_same(predicted):
    first, second = (sha(predicted(*SAMPLED, f"generation.seed={seed}")) for seed in (1, 2))
    assert first != second == sha(predicted(*SAMPLED, "generation.seed=2"))


class Examined:
    """One evaluation of a trained run in a folder of its own, by the documented class."""

    def __init__(self, cfg, checkpoint, manifest, out):
        self.cfg, self.checkpoint, self.manifest, self.out = cfg, checkpoint, manifest, out

    def run(self):
        return EvaluationRunner(self.cfg).run(checkpoint_dir=self.checkpoint, csv=self.manifest, out_dir=self.out)

    def killed(self, *, append, share):
        """Run in a process that dies by SIGKILL inside the n-th append, after a share of its bytes; return them."""
        pid = os.fork()
        if pid == 0:
            write, left = journal_module.Journal.append, iter(range(append, -1, -1))

            def fatal(journal, rows):
                rows = list(rows)
                if next(left) == 0:
                    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
                    journal._file.write(text[: int(share * len(text))])
                    journal._file.flush()
                    os.kill(os.getpid(), signal.SIGKILL)
                write(journal, rows)

            journal_module.Journal.append = fatal
            self.run()
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture
def examined(three_stages, manifest, tiny_config, tmp_path):
    def make(*overrides, name="out"):
        return Examined(
            tiny_config("evaluation.max_samples=null", *overrides), three_stages.checkpoint, manifest, tmp_path / name
        )

    return make


@pytest.mark.parametrize("number", range(20 if ALL else 4))
def test_an_evaluation_killed_in_the_middle_and_resumed_gives_the_same_file(examined, samples, number, caplog):
    draw = random.Random(number)
    overrides = [f"evaluation.batch_size={draw.choice((1, 8))}", f"generation.batch_size={draw.choice((1, 5, 32))}"]
    overrides += SAMPLED if number % 2 else []
    plain, broken = examined(*overrides, name="plain"), examined(*overrides, name="broken")
    scores = plain.run()
    for again in range(draw.choice((1, 1, 2))):
        # the first append of a new file is its header's; 20 panoramas make at least three more
        assert (
            broken.killed(append=0 if again else draw.choice((1, 2)), share=draw.choice((0.0, 0.3, draw.random(), 1.0)))
            == -9
        )
        assert not (broken.out / "predictions.csv").exists()
        assert (broken.out / "predictions.partial.jsonl").exists()
    again = broken.run()
    assert sha(broken.out / "predictions.csv") == sha(plain.out / "predictions.csv")
    assert [s.sample_id for s in read_manifest(broken.out / "predictions.csv")] == [s.sample_id for s in samples]
    assert again["model"] == scores["model"]
    assert sorted(p.name for p in broken.out.iterdir()) == ["metrics.json", "predictions.csv"]


def test_what_is_on_disk_is_not_asked_again(examined, model, monkeypatch):
    run = examined("evaluation.batch_size=1")
    assert run.killed(append=4, share=0.5) == -9
    asked = []
    generate = type(model).generate
    monkeypatch.setattr(type(model), "generate", lambda *a, **k: asked.append(1) or generate(*a, **k))
    run.run()
    with (run.out / "predictions.csv").open() as stream:
        panoramas = len({row["image_path"] for row in csv.DictReader(stream)})
    assert len(asked) == panoramas - 3


@pytest.mark.parametrize(
    "change", ["generation.max_new_tokens=3", "generation.temperature=0.5", "data.images.pose=ignore"]
)
def test_answers_of_other_settings_are_not_taken(examined, change):
    first, other, plain = examined(), examined(change), examined(change, name="plain")
    assert first.killed(append=2, share=1.0) == -9
    other.run()
    plain.run()
    assert sha(other.out / "predictions.csv") == sha(plain.out / "predictions.csv")


def test_answers_to_another_test_set_or_of_another_checkpoint_are_not_taken(examined, manifest, tmp_path, caplog):
    run = examined()
    assert run.killed(append=2, share=1.0) == -9
    run.manifest = tmp_path / "questions.jsonl"
    run.manifest.write_text(manifest.read_text().replace("what", "which"))
    kept = shutil.copytree(run.out, tmp_path / "kept")
    caplog.set_level("INFO")
    run.run()
    assert "of another run (test differs); answering anew" in caplog.text
    moved = replace_checkpoint(run, tmp_path)
    shutil.rmtree(run.out)
    shutil.copytree(kept, run.out)
    run.manifest, run.checkpoint = manifest, moved
    run.run()
    assert "of another run (checkpoint differs); answering anew" in caplog.text


def replace_checkpoint(run, tmp_path):
    """Return a copy of the checkpoint that holds other weights."""
    from panollava.checkpoints.format import read_meta, save_checkpoint

    session = Session.load(run.checkpoint, device="cpu")
    meta = read_meta(run.checkpoint)
    next(iter(session.model.projector.parameters())).data.mul_(1.01)
    return save_checkpoint(
        session.model, tmp_path / "moved", config=meta.config, stage=meta.stage, epoch=meta.epoch, step=meta.step,
        trained=set(meta.components),
    )  # fmt: skip


@pytest.mark.parametrize("number", range(6 if ALL else 2))
def test_the_command_killed_at_a_random_time_goes_on(server, three_stages, manifest, tmp_path, number, record_property):
    run = tmp_path / "run"
    shutil.copytree(three_stages.run_dir, run)
    argv = ["eval", "--checkpoint-dir", str(run), "--csv-input", str(manifest)]
    draw, kills = random.Random(number), 0
    for _ in range(3):
        kills += server.run(argv, log=tmp_path / "log", signals=[(draw.uniform(0.1, 1.0), signal.SIGKILL)]) == -9
    record_property("SIGKILL of an evaluation at a random time", kills)
    assert server.run(argv, log=tmp_path / "log") == 0, (tmp_path / "log").read_text()[-2000:]
    file = next(run.rglob("predictions.csv"))
    got = sha(file)
    file.unlink()
    assert server.run(argv, log=tmp_path / "log") == 0
    assert sha(file) == got
