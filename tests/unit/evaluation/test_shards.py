"""Parts of the work: every panorama in exactly one, the same on every machine; their outputs make the whole."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from panollava.data.manifest import Sample
from panollava.errors import ConfigError, DataError
from panollava.evaluation.identity import pictures_hash, samples_hash
from panollava.evaluation.shard_files import merge, meta_path, read_meta, skipped_path, write_output
from panollava.evaluation.shards import Shard, part_of, questions_about


@given(st.integers(0, 300), st.integers(1, 40))
def test_shards_are_blocks_that_make_the_whole_and_differ_by_one_at_most(count, shards):
    parts = [Shard(n, shards).of(range(count)) for n in range(1, shards + 1)]
    assert [item for part in parts for item in part] == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@given(st.lists(st.integers(1, 5), max_size=30), st.integers(1, 9))
def test_all_questions_about_a_panorama_are_in_one_shard(counts, shards):
    samples = [
        Sample(Path(f"{i}.jpg"), f"q{k}", None, "open", f"{i}:{k}", f"{i:03d}.jpg", "m", k)
        for i, count in enumerate(counts)
        for k in range(count)
    ]
    parts = [part_of(samples, Shard(n, shards)) for n in range(1, shards + 1)]
    assert [sample for part in parts for sample in part] == samples
    images = [{sample.image_id for sample in part} for part in parts]
    assert sum(map(len, images)) == len(counts)


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_COUNT": "4"}, Shard(1, 4)),
        ({"SLURM_ARRAY_TASK_ID": "4", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_COUNT": "4"}, Shard(4, 4)),
        (
            {
                "SLURM_ARRAY_TASK_ID": "30",
                "SLURM_ARRAY_TASK_MIN": "10",
                "SLURM_ARRAY_TASK_STEP": "10",
                "SLURM_ARRAY_TASK_COUNT": "3",
            },
            Shard(3, 3),
        ),
        ({"RANK": "7", "WORLD_SIZE": "8", "SLURM_PROCID": "0", "SLURM_NTASKS": "1"}, Shard(8, 8)),
        ({"SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, Shard(2, 2)),
    ],
)
def test_a_task_knows_its_shard(environment, wanted):
    assert Shard.parse("auto", environment=environment) == wanted


def of_array(tasks, number):
    return {
        "SLURM_ARRAY_TASK_ID": str(number),
        "SLURM_ARRAY_TASK_MIN": str(min(tasks)),
        "SLURM_ARRAY_TASK_COUNT": str(len(tasks)),
    }


@pytest.mark.parametrize("tasks", [range(1, 65), [5], [5, 6, 9], [64]])
def test_a_task_of_an_array_has_the_same_shard_whatever_is_submitted_with_it(tasks, caplog):
    for number in tasks:
        assert Shard.parse("auto/64", environment=of_array(tasks, number)) == Shard(number, 64)
    assert not caplog.records


@pytest.mark.parametrize(("tasks", "told"), [([5], "1/1"), ([1], "1/1"), ([5, 6], "1/2"), (range(1, 3), None)])
def test_an_array_that_may_be_a_part_of_one_is_told(tasks, told, caplog):
    Shard.parse("auto", environment=of_array(tasks, min(tasks)))
    assert (f"so this is shard {told}; to run some tasks of a larger array again" in caplog.text) == bool(told)


@pytest.mark.parametrize(
    ("text", "environment", "told"),
    [
        ("3", {}, "neither NUMBER/COUNT, for example 3/8, nor auto"),
        ("auto/", {}, "neither NUMBER/COUNT, for example 3/8, nor auto"),
        ("auto/64", {"RANK": "1", "WORLD_SIZE": "64"}, r"no task of a SLURM array; write --shard 3/64"),
        ("auto/64", {"SLURM_ARRAY_TASK_ID": "five"}, "SLURM_ARRAY_TASK_ID is no whole number"),
        ("auto/64", {"SLURM_ARRAY_TASK_ID": "65"}, "SLURM_ARRAY_TASK_ID=65; tasks are numbered from 1 to 64"),
        ("auto/64", {"SLURM_ARRAY_TASK_ID": "0"}, r"begins at 0; number its tasks from 1 \(--array=1-64\)"),
        ("auto/64", {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "0"}, r"SLURM_ARRAY_TASK_ID \+ 1\)\)/64"),
        ("0/4", {}, "shard 0/4 does not exist; shards are 1/4 and up"),
        ("5/4", {}, "shard 5/4 does not exist"),
        ("auto", {}, "nothing says which process this is"),
        ("auto", {"RANK": "one", "WORLD_SIZE": "8"}, "RANK and WORLD_SIZE are no whole numbers"),
    ],
)
def test_what_is_no_shard_is_refused(text, environment, told):
    with pytest.raises(ConfigError, match=told):
        Shard.parse(text, environment=environment)


@pytest.fixture
def folder(tmp_path):
    for name in ("b/2.png", "b/1.JPG", "a.jpg"):
        file = tmp_path / "panos" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((8, 16, 3), np.uint8)).save(file, "PNG")
    (tmp_path / "panos" / "notes.txt").write_text("no panorama")
    return tmp_path / "panos"


def test_a_folder_is_asked_every_question_in_the_order_of_its_paths(folder):
    asked = questions_about(folder, questions=["what?", "up?"])
    assert [(s.image_id, s.query) for s in asked] == [
        (image, query) for image in ("a.jpg", "b/1.JPG", "b/2.png") for query in ("what?", "up?")
    ]
    assert len({s.sample_id for s in asked}) == 6 and all(s.image.is_file() for s in asked)


def test_one_panorama_is_a_set_of_one(folder):
    [asked] = questions_about(folder / "a.jpg", questions=["what?"])
    assert (asked.image, asked.image_id) == (folder / "a.jpg", "a.jpg")


def test_a_manifest_asks_its_own_questions_or_those_given(folder):
    manifest = folder / "asked.jsonl"
    rows = [{"image": "b/2.png", "query": "left?"}, {"image": "a.jpg", "query": "x"}, {"image": "a.jpg", "query": "y"}]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    own = questions_about(manifest)
    assert [(s.image_id, s.query) for s in own] == [("a.jpg", "x"), ("a.jpg", "y"), ("b/2.png", "left?")]
    given_ = questions_about(manifest, questions=["what?"])
    assert [(s.image_id, s.query) for s in given_] == [("a.jpg", "what?"), ("b/2.png", "what?")]


def test_nothing_to_ask_or_to_ask_about_is_said(folder, tmp_path):
    with pytest.raises(DataError, match="asks nothing; add --question"):
        questions_about(folder)
    with pytest.raises(DataError, match="'what\\?' is empty or given twice"):
        questions_about(folder, questions=["what?", "what?"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no panoramas"):
        questions_about(tmp_path / "empty", questions=["what?"])


RUN = {"checkpoint": "a", "temperature": 0.0}
ROWS = [{"image": f"{i}.jpg", "question": "what?", "answer": f"\u00e4 {i}", "id": f"{i}#1"} for i in range(7)]


@pytest.fixture
def parts(tmp_path):
    files = []
    for number in (3, 1, 2):
        shard = Shard(number, 3)
        path = shard.output(tmp_path / "out.jsonl")
        skipped = [{"image": f"bad{number}.jpg", "reason": "cut"}] if number != 2 else []
        write_output(path, shard.of(ROWS), skipped=skipped, run=RUN, shard=shard)
        files.append(path)
    return files


def test_merged_shards_are_the_output_of_one_process(parts, tmp_path):
    whole = tmp_path / "whole.jsonl"
    write_output(whole, ROWS, skipped=[], run=RUN, shard=Shard())
    meta = merge([*parts, skipped_path(parts[0])], output=tmp_path / "all.jsonl")
    assert (tmp_path / "all.jsonl").read_bytes() == whole.read_bytes()
    assert (meta.rows, meta.skipped) == (7, 2)
    told = [json.loads(line)["image"] for line in skipped_path(tmp_path / "all.jsonl").read_text().splitlines()]
    assert told == ["bad1.jpg", "bad3.jpg"]


def test_a_missing_shard_is_named(parts, tmp_path):
    with pytest.raises(DataError, match="shard 1/3 is missing"):
        merge([parts[0], parts[2]], output=tmp_path / "all.jsonl")


def test_a_shard_given_twice_is_named(parts, tmp_path):
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(parts[0].read_bytes())
    meta_path(copy).write_bytes(meta_path(parts[0]).read_bytes())
    with pytest.raises(DataError, match="shard 3/3 is given twice"):
        merge([*parts, copy], output=tmp_path / "all.jsonl")
    with pytest.raises(DataError, match="a file is given twice"):
        merge([*parts, parts[0]], output=tmp_path / "all.jsonl")


def test_a_changed_or_unfinished_shard_is_named(parts, tmp_path):
    parts[0].write_bytes(parts[0].read_bytes()[:-4])
    assert read_meta(parts[0]) is None
    with pytest.raises(DataError, match=r"out-00003-of-00003\.jsonl is not the finished output of a shard"):
        merge(parts, output=tmp_path / "all.jsonl")


def test_shards_of_two_runs_are_not_mixed(parts, tmp_path):
    write_output(parts[0], ROWS[:2], skipped=[], run={**RUN, "temperature": 1.0}, shard=Shard(3, 3))
    with pytest.raises(DataError, match=r"is of another run than .*: temperature differs"):
        merge(parts, output=tmp_path / "all.jsonl")


def test_shards_of_other_pictures_are_not_mixed(parts, tmp_path, caplog):
    merge(parts, output=tmp_path / "all.jsonl")
    assert "whether all are of the same pictures cannot be told" in caplog.text
    for number, pictures in ((1, "a"), (2, "a"), (3, "b")):
        shard = Shard(number, 3)
        path = shard.output(tmp_path / "out.jsonl")
        write_output(path, shard.of(ROWS), skipped=[], run={**RUN, "pictures": pictures}, shard=shard)
    with pytest.raises(DataError, match=r"pictures differs .*Give the command of every shard again"):
        merge(parts, output=tmp_path / "all.jsonl")


def test_the_pictures_of_shards_are_known_by_ids_and_sizes(tmp_path):
    def known(folder, size):
        folder.mkdir()
        (folder / "a.jpg").write_bytes(b"x" * size)
        asked = questions_about(folder, questions=["what?", "up?"])
        return pictures_hash(asked), samples_hash(asked)

    (one, here), (same, there), (other, _) = (
        known(tmp_path / name, size) for name, size in (("1", 9), ("2", 9), ("3", 8))
    )
    assert one == same != other and here != there


@pytest.mark.parametrize("name", ["gone.jpg", "x" * 300 + ".jpg", "nul\0.jpg"])
def test_a_picture_that_is_not_there_has_hashes(name, tmp_path):
    asked = [Sample(tmp_path / name, "what?", None, "open", "1", name, "m", 1)]
    assert pictures_hash(asked) and samples_hash(asked)


def test_a_question_answered_twice_is_named(parts, tmp_path):
    write_output(parts[0], ROWS[:2], skipped=[], run=RUN, shard=Shard(3, 3))
    with pytest.raises(DataError, match=r"'what\?' about 0\.jpg is answered twice"):
        merge(parts, output=tmp_path / "all.jsonl")
