import csv
import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from panollava.data.images import open_panorama
from panollava.data.manifest import read_manifest
from panollava.data.synthetic.captions import draw_captions
from panollava.data.synthetic.questions import QuestionSampler
from panollava.data.synthetic.raycast import render_erp
from panollava.data.synthetic.recipe import RECIPE_VERSION
from panollava.data.synthetic.scene import sample_scene
from panollava.data.synthetic.write import load_recipe, synthesize
from panollava.errors import DataError

COUNT, SEED, WIDTH, ASKED = 24, 8, 64, 6
SIZE = {"count": COUNT, "seed": SEED, "width": WIDTH, "questions_per_panorama": ASKED}


def content(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "made" / "here"
    return synthesize(folder, **SIZE, workers=1)


def rows(folder, split):
    return [json.loads(line) for line in (folder / f"{split}.jsonl").read_text().splitlines()]


def test_the_number_of_processes_changes_no_byte(written, tmp_path):
    seen = []
    again = synthesize(tmp_path / "b", **SIZE, workers=2, progress=lambda *step: seen.append(step))
    assert content(tmp_path / "b") == content(written.folder)
    assert again.sha256 == written.sha256
    assert seen == [(done, COUNT) for done in range(1, COUNT + 1)]


def test_the_summary_counts_what_is_there(written):
    assert sum(written.panoramas.values()) == COUNT == len(list((written.folder / "images").iterdir()))
    assert min(written.panoramas.values()) > 0  # this seed fills every split
    for split, samples in written.samples.items():
        assert len(rows(written.folder, split)) == samples
    assert load_recipe(written.folder).samples == written.samples
    assert load_recipe(written.folder).sha256 == written.sha256
    assert not [name for name in content(written.folder) if "tmp" in name or "partial" in name]


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_every_table_reads_as_a_manifest_and_says_the_same(written, split):
    lines = read_manifest(written.folder / f"{split}.jsonl")
    cells = read_manifest(written.folder / f"{split}.csv")
    assert [(s.image, s.query, s.answer) for s in lines] == [(s.image, s.query, s.answer) for s in cells]
    assert len({s.sample_id for s in lines}) == len(lines)
    assert all(s.sample_id.startswith(s.image.stem) for s in lines)
    assert {"caption", "caption_object"} <= {s.kind for s in lines}
    with (written.folder / f"{split}.csv").open(newline="") as file:
        assert next(csv.reader(file)) == ["url", "query", "annotation"]


def test_a_panorama_belongs_to_one_split_that_of_its_scene(written):
    made = [sample_scene(SEED, index) for index in range(COUNT)]
    for split in ("train", "val", "test"):
        images = list(dict.fromkeys(row["image"] for row in rows(written.folder, split)))
        assert images == [f"images/{scene.scene_id}.jpg" for scene in made if scene.split == split]


def test_questions_are_balanced_in_each_split_on_its_own(written):
    sampler = QuestionSampler(SEED)
    said = []
    for scene in (sample_scene(SEED, index) for index in range(COUNT)):
        if scene.split == "test":
            said += sampler.draw(scene, count=ASKED) + draw_captions(scene, seed=SEED)
    assert [(q.kind, q.template, q.question, q.answer) for q in said] == [
        (row["type"], row["template"], row["query"], row["answer"]) for row in rows(written.folder, "test")
    ]


def test_pictures_show_their_scene(written):
    for index in range(6):
        scene = sample_scene(SEED, index)
        shown = open_panorama(written.folder / "images" / f"{scene.scene_id}.jpg").astype(int)
        drawn = render_erp(scene, height=WIDTH // 2, supersample=2).image
        assert shown.shape == (WIDTH // 2, WIDTH, 3)
        assert abs(shown - drawn).mean() < 4  # JPEG at quality 92 without colour subsampling


def test_records_are_one_line_a_scene_in_order(written):
    records = [json.loads(line) for line in (written.folder / "scenes.jsonl").read_text().splitlines()]
    assert [record["index"] for record in records] == list(range(COUNT))
    assert [record["scene_id"] for record in records] == [sample_scene(SEED, index).scene_id for index in range(COUNT)]
    assert all(o["solid_angle_sr"] > 0 for record in records for o in record["objects"])


def test_a_complete_folder_is_left_alone(written):
    before = {path: path.stat().st_mtime_ns for path in written.folder.rglob("*")}
    again = synthesize(written.folder, **SIZE)
    assert again.reused and not written.reused
    assert again.sha256 == written.sha256
    assert {path: path.stat().st_mtime_ns for path in written.folder.rglob("*")} == before


def test_what_was_removed_is_written_again(tmp_path):
    first = synthesize(tmp_path, **SIZE | {"count": 2})
    before = content(tmp_path)
    next((tmp_path / "images").iterdir()).unlink()
    again = synthesize(tmp_path, **SIZE | {"count": 2})
    assert not again.reused
    assert content(tmp_path) == before
    assert again.sha256 == first.sha256


def test_an_interrupted_run_is_not_complete_and_is_finished_later(tmp_path):
    def interrupt(done, _count):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesize(tmp_path / "a", **SIZE | {"count": 4, "seed": 3}, progress=interrupt)
    assert load_recipe(tmp_path / "a") is None
    assert not list((tmp_path / "a").glob("*.jsonl"))
    (tmp_path / "a" / ".train.csv.0123abcd.tmp").write_text("what kill -9 left")
    # finished with other numbers: nothing of the first attempt stays
    synthesize(tmp_path / "a", **SIZE | {"count": 3})
    synthesize(tmp_path / "b", **SIZE | {"count": 3})
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_ground_truth_is_added_without_changing_the_rest(tmp_path):
    few = SIZE | {"count": 2}
    plain = synthesize(tmp_path, **few)
    before = content(tmp_path)
    full = synthesize(tmp_path, **few, ground_truth=True)
    assert full.sha256 == plain.sha256
    assert {k: v for k, v in content(tmp_path).items() if k in before and k != "recipe.json"} == {
        k: v for k, v in before.items() if k != "recipe.json"
    }
    for index in range(2):
        scene = sample_scene(SEED, index)
        truth = np.load(tmp_path / "truth" / f"{scene.scene_id}.npz")
        exact = render_erp(scene, height=WIDTH // 2)
        assert (truth["instance"] == exact.instance).all()
        assert (truth["depth_m"] == exact.depth_m).all()
    assert synthesize(tmp_path, **few).reused  # more than asked for is enough


def test_another_data_set_is_never_overwritten(tmp_path):
    synthesize(tmp_path, **SIZE | {"count": 2})
    before = content(tmp_path)
    with pytest.raises(DataError, match=r"another SurroundQA \(count 2 instead of 3\)\. Delete it, or choose"):
        synthesize(tmp_path, **SIZE | {"count": 3})
    assert content(tmp_path) == before


def test_files_of_someone_else_are_never_overwritten(tmp_path):
    (tmp_path / "train.csv").write_text("mine")
    with pytest.raises(DataError, match=r"holds train\.csv, not written by SurroundQA"):
        synthesize(tmp_path, **SIZE)
    assert content(tmp_path) == {"train.csv": b"mine"}


def test_a_recipe_that_cannot_be_read_is_an_error(tmp_path):
    (tmp_path / "recipe.json").write_text('{"version": 1}')
    with pytest.raises(DataError, match=r"not a recipe of SurroundQA .* Delete the folder, or choose"):
        load_recipe(tmp_path)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"count": 0}, "count is 0; it must be at least 1"),
        ({"seed": -1}, "seed is -1; it must be at least 0"),
        ({"width": 32}, "width is 32; it must be at least 64"),
        ({"width": 65}, "width is 65; it must be even"),
        ({"questions_per_panorama": 0}, "questions_per_panorama is 0; it must be at least 1"),
        ({"workers": 0}, "workers is 0; it must be at least 1"),
    ],
)
def test_numbers_out_of_range_are_named(tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        synthesize(tmp_path / "new", **SIZE | change)
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="SurroundQA cannot be written"):
        synthesize(tmp_path / "file" / "below", **SIZE)


def test_a_program_without_main_guard_may_use_several_processes(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "from panollava.data.synthetic.write import synthesize\n"
        f"synthesize({str(tmp_path / 'out')!r}, count=17, seed=1, width=64, workers=2)\n"
    )
    run = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert len(list((tmp_path / "out" / "images").glob("*.jpg"))) == 17


def test_writing_needs_no_torch():
    code = "import sys, panollava.data.synthetic.write; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_version_changes_with_the_words():
    """Whoever changes scenes, pictures or words raises RECIPE_VERSION, and then this hash."""
    sampler, text = QuestionSampler(7), []
    for index in range(20):
        scene = sample_scene(7, index)
        for said in sampler.draw(scene, count=12) + draw_captions(scene, seed=7):
            text.append(f"{said.kind} {said.question} {said.answer}\n")
    assert (RECIPE_VERSION, hashlib.sha256("".join(text).encode()).hexdigest()[:12]) == (2, "eb271a45da90")
