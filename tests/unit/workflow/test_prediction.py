"""Many panoramas are answered as one would be: in parts, after a kill, around bad files."""

import json
import logging
import os
import re
import shutil
import signal
from dataclasses import replace

import pytest

from panollava.cli.program import main
from panollava.data.manifest import Sample
from panollava.errors import ConfigError, DataError
from panollava.evaluation.journal import Journal
from panollava.evaluation.shard_files import merge, meta_path, skipped_path
from panollava.evaluation.shards import Shard
from panollava.inference.session import Session
from panollava.workflow.prediction import PredictionJob, predict

QUESTIONS = ("what is behind me?", "is there a red ball?")


@pytest.fixture
def folder(panoramas, tmp_path):
    for number, panorama in enumerate(panoramas("train")[:7]):
        (tmp_path / "panos").mkdir(exist_ok=True)
        shutil.copy(panorama.image, tmp_path / "panos" / f"{number}{panorama.image.suffix}")
    return tmp_path / "panos"


@pytest.fixture
def job(three_stages, folder, tmp_path):
    return PredictionJob(
        checkpoint=str(three_stages.run_dir), source=str(folder), output=str(tmp_path / "out.jsonl"),
        questions=QUESTIONS, device="cpu",
    )  # fmt: skip


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_question_about_every_panorama_is_answered_as_a_session_would(job, folder, tmp_path, three_stages):
    meta = predict(job)
    rows = lines(tmp_path / "out.jsonl")
    session = Session.load(three_stages.run_dir, device="cpu")
    wanted = [
        {"image": file.name, "question": q, "answer": a, "id": f"{file.name}#{n}"}
        for file in sorted(folder.iterdir())
        for n, (q, a) in enumerate(zip(QUESTIONS, session.ask_many(file, QUESTIONS), strict=True), start=1)
    ]
    assert rows == wanted and meta.rows == 14
    assert sorted(p.name for p in tmp_path.glob("out*")) == ["out.jsonl", "out.jsonl.meta.json"]


@pytest.mark.parametrize("settings", [(), ("generation.temperature=1.1",)], ids=["greedy", "sampled"])
@pytest.mark.parametrize("count", [2, 3, 9])
def test_shards_merge_to_the_bytes_of_one_process(job, tmp_path, count, settings):
    job = replace(job, settings=(*settings, "evaluation.batch_size=2"))
    whole = replace(job, output=str(tmp_path / "whole.jsonl"), settings=(*settings, "evaluation.batch_size=3"))
    predict(whole)
    for number in range(1, count + 1):
        predict(job, shard=Shard(number, count))
    merge(sorted(tmp_path.glob("out-*.jsonl")), output=tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_a_finished_output_is_left_alone_and_one_of_other_settings_is_not(job, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    first = predict(job)
    assert predict(job) == first
    assert "already done" in caplog.text
    other = predict(replace(job, settings=("generation.max_new_tokens=1",)))
    assert other.sha256 != first.sha256


def elsewhere(folder):
    """Copy a folder; under each name is the picture of the next one."""
    files = sorted(folder.iterdir())
    other = folder.with_name("elsewhere")
    other.mkdir()
    for file, following in zip(files, [*files[1:], files[0]], strict=True):
        shutil.copy(following, other / file.name)
    return other


def replaced(job, folder):
    shutil.copy(folder / "1.jpg", folder / "0.jpg")
    return job


def another_folder(job, folder):
    return replace(job, source=str(elsewhere(folder)))


def another_root(job, folder):
    return replace(job, image_root=str(elsewhere(folder)))


@pytest.mark.parametrize("change", [replaced, another_folder, another_root])
def test_answers_about_other_pictures_of_equal_names_are_not_taken_for_these(job, folder, tmp_path, change, caplog):
    caplog.set_level(logging.INFO)
    if change is another_root:
        manifest = tmp_path / "asked.jsonl"
        manifest.write_text("".join(json.dumps({"image": f.name, "query": "what?"}) + "\n" for f in folder.iterdir()))
        job = replace(job, source=str(manifest), questions=(), image_root=str(folder))
    predict(job)
    changed = change(job, folder)
    second = predict(changed)
    assert "already done" not in caplog.text
    assert "paths, sizes or times of pictures differ" in caplog.text
    assert predict(changed) == second and "already done" in caplog.text


def test_a_mended_image_is_answered(job, folder, tmp_path):
    good = (folder / "3.jpg").read_bytes()
    (folder / "3.jpg").write_bytes(b"no picture")
    job = replace(job, on_bad_image="skip")
    assert predict(job).skipped == 1
    (folder / "3.jpg").write_bytes(good)
    assert predict(job).skipped == 0
    assert "3.jpg" in {row["image"] for row in lines(tmp_path / "out.jsonl")}


def test_shards_of_other_pictures_of_equal_names_are_not_merged(job, folder, tmp_path):
    parts = [Shard(n, 2).output(tmp_path / "out.jsonl") for n in (1, 2)]
    predict(job, shard=Shard(1, 2))
    predict(replace(job, source=str(elsewhere(folder))), shard=Shard(2, 2))
    with pytest.raises(DataError, match=r"out-00002-of-00002\.jsonl is of another run than .*: pictures differs"):
        merge(parts, output=tmp_path / "all.jsonl")


def test_shards_of_the_same_pictures_in_two_places_are_merged(job, folder, tmp_path):
    moved = shutil.copytree(folder, tmp_path / "moved", copy_function=shutil.copyfile)
    predict(job, shard=Shard(1, 2))
    predict(replace(job, source=str(moved)), shard=Shard(2, 2))
    assert merge(sorted(tmp_path.glob("out-*.jsonl")), output=tmp_path / "all.jsonl").rows == 14


def test_a_changed_picture_costs_the_answers_of_its_own_shard_alone(job, folder, tmp_path, caplog):
    def shards():
        return [predict(job, shard=Shard(n, 2)) for n in (1, 2)]

    shards()
    shutil.copy(folder / "1.jpg", folder / "0.jpg")
    caplog.set_level(logging.INFO)
    first, second = shards()
    assert re.findall(r"already done: .*(out\S+)", caplog.text) == ["out-00002-of-00002.jsonl"]
    assert first.run == second.run
    merge(sorted(tmp_path.glob("out-*.jsonl")), output=tmp_path / "all.jsonl")


def test_a_merged_output_is_done_for_one_process_until_a_picture_changes(job, folder, tmp_path, caplog):
    for number in (1, 2, 3):
        predict(job, shard=Shard(number, 3))
    merged = merge(sorted(tmp_path.glob("out-*.jsonl")), output=tmp_path / "out.jsonl")
    caplog.set_level(logging.INFO)
    assert predict(job) == merged and "already done" in caplog.text
    shutil.copy(folder / "1.jpg", folder / "0.jpg")
    caplog.clear()
    predict(job)
    assert "already done" not in caplog.text


def test_an_output_that_does_not_say_what_its_pictures_were_is_not_done(job, tmp_path, caplog):
    predict(job)
    told = meta_path(tmp_path / "out.jsonl")
    meta = json.loads(told.read_text())
    del meta["test"], meta["run"]["pictures"]  # as earlier versions wrote it
    told.write_text(json.dumps(meta))
    caplog.set_level(logging.INFO)
    assert predict(job).test
    assert "an earlier version wrote it, without what tells its pictures from others" in caplog.text


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_killed_prediction_goes_on(job, tmp_path, share, caplog):
    job = replace(job, settings=("evaluation.batch_size=2",))
    whole = replace(job, output=str(tmp_path / "whole.jsonl"))
    predict(whole)
    pid = os.fork()
    if pid == 0:
        write, left = Journal.append, iter((2, 1, 0))

        def fatal(journal, rows):
            rows = list(rows)
            if next(left) == 0:
                text = "".join(json.dumps(row) + "\n" for row in rows).encode()
                journal._file.write(text[: int(share * len(text))])
                journal._file.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            write(journal, rows)

        Journal.append = fatal
        predict(job)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -9
    assert not (tmp_path / "out.jsonl").exists()
    caplog.set_level(logging.INFO)
    predict(job)
    done = {0.0: "2", 0.5: "[23]", 1.0: "4"}[share]
    assert re.search(f"going on: {done} of 7 panoramas", caplog.text)
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_a_bad_image_stops_the_run_or_is_listed(job, folder, tmp_path):
    (folder / "3b.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"3b\.jpg"):
        predict(job)
    meta = predict(replace(job, on_bad_image="skip"))
    assert (meta.rows, meta.skipped) == (14, 1)
    [skipped] = lines(skipped_path(tmp_path / "out.jsonl"))
    assert skipped["image"] == "3b.jpg" and "3b.jpg" in skipped["reason"]
    assert "3b.jpg" not in {row["image"] for row in lines(tmp_path / "out.jsonl")}


@pytest.mark.parametrize("questions", [QUESTIONS, ()], ids=["given", "own"])
@pytest.mark.parametrize("name", ["gone.jpg", "x" * 300 + ".jpg"], ids=["absent", "too-long"])
def test_a_row_whose_file_is_missing_stops_the_run_or_is_listed(job, folder, tmp_path, name, questions):
    names = [*sorted(file.name for file in folder.iterdir()), name]
    manifest = folder / "asked.jsonl"
    manifest.write_text("".join(json.dumps({"image": name, "query": "what?"}) + "\n" for name in names))
    job = replace(job, source=str(manifest), questions=questions)
    with pytest.raises(DataError, match=r"asked\.jsonl, row 8, .*no image file"):
        predict(job)
    meta = predict(replace(job, on_bad_image="skip"))
    assert (meta.rows, meta.skipped) == (7 * (len(questions) or 1), 1)
    [skipped] = lines(skipped_path(tmp_path / "out.jsonl"))
    assert skipped["image"] == name and "the image cannot be read" in skipped["reason"]


def test_a_log_likelihood_is_that_of_the_answer(job, folder, tmp_path, three_stages, tiny_config):
    from panollava.evaluation.predict import answer
    from panollava.training.feeds import feature_store

    predict(replace(job, logprob=True))
    row = lines(tmp_path / "out.jsonl")[1]
    session = Session.load(three_stages.run_dir, device="cpu")
    said = Sample(folder / row["image"], row["question"], row["answer"], "open", "1", row["image"], "m", 1)
    weighed = answer(session.model, [said], session.cfg, store=feature_store(session.model, session.cfg))
    assert row["logprob"] == pytest.approx(-weighed.nll[0] / weighed.tokens[0], abs=2e-4)


def test_the_command_predicts_and_merges(job, folder, tmp_path, capsys):
    asked = ["--question", QUESTIONS[0], "--output", str(tmp_path / "out.jsonl")]
    argv = ["predict", "--checkpoint", job.checkpoint, "--input", str(folder), *asked]
    for shard in ("1/2", "2/2"):
        assert main([*argv, "--shard", shard]) == 0
    parts = [str(Shard(n, 2).output(tmp_path / "out.jsonl")) for n in (1, 2)]
    assert main(["predict", "--merge", *parts, "--output", str(tmp_path / "all.jsonl")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{tmp_path / 'all.jsonl'}: 7 answers"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--output", "a.jsonl"], "give --checkpoint and --input, or --merge FILES"),
        (["--output", "a.csv", "--merge", "b"], "the output is JSON lines; name it .jsonl"),
        (["--output", "a.jsonl", "--checkpoint", "x", "--input", "y", "--executor", "ray", "--shard", "1/2"], "leave"),
    ],
)
def test_wrong_usage_is_told(words, told, capsys):
    assert main(["predict", *words]) == 1
    assert told in capsys.readouterr().err


def test_a_cluster_of_two_workers_gives_the_bytes_of_one_process(job, tmp_path):
    pytest.importorskip("ray", reason="pip install 'panollava[ray]'")
    from panollava.workflow.prediction_ray import predict_on_ray

    predict(replace(job, output=str(tmp_path / "whole.jsonl")))
    predict_on_ray(job, workers=2)
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_without_a_worker_or_ray_the_message_says_what_to_do(job, monkeypatch):
    import sys

    from panollava.workflow.prediction_ray import predict_on_ray

    with pytest.raises(ConfigError, match="--workers 0: give at least 1"):
        predict_on_ray(job, workers=0)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'panollava\[ray\]'"):
        predict_on_ray(job, workers=1)
