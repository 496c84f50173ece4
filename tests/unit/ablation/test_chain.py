"""Which stages are shared: those that would end with the same bits, and no other."""

import pytest

from panollava.ablation.chain import chain, shared_links
from panollava.ablation.study import load_study
from panollava.config import build_config


def keys(*overrides, blind=False):
    return [link.key for link in chain(build_config({}, overrides=overrides), blind=blind)]


def equal(*overrides, blind=False):
    return [a == b for a, b in zip(keys(blind=blind), keys(*overrides, blind=blind), strict=True)]


@pytest.mark.parametrize(
    ("override", "same"),
    [
        ("lora.r=8", [True, True, False]),
        ("stages.finetune.lr.adapter=1e-5", [True, True, False]),
        ("stages.resampler.batch_size=2", [True, False, False]),
        ("position.kind=none", [True, False, False]),
        ("resampler.pool=4", [False, False, False]),  # the default vision stage trains the resampler
        ("language.model=qwen_0.5b", [False, False, False]),  # and loading it may draw numbers before the resampler
        ("views.overlap=0.25", [False, False, False]),
        ("experiment.seed=1", [False, False, False]),
        ("data.synthetic.count=30", [False, False, False]),
        ("trainer.precision=bf16-mixed", [False, False, False]),
        ("trainer.log_every=1", [True, True, True]),
        ("evaluation.max_samples=3", [True, True, True]),
        ("generation.max_new_tokens=3", [True, True, True]),
        ("experiment.name=other", [True, True, True]),
    ],
)
def test_a_stage_is_shared_up_to_the_first_that_reads_the_setting(override, same):
    assert equal(override) == same


def test_a_vision_stage_that_trains_the_encoder_alone_knows_no_resampler():
    alone = ["stages.vision.trains=[vision]", "stages.vision.lr={vision: 1e-5}"]
    assert keys(*alone)[0] == keys(*alone, "resampler.kind=perceiver")[0]
    assert keys(*alone)[1] != keys(*alone, "resampler.kind=perceiver")[1]


@pytest.mark.parametrize(
    ("override", "same"),
    [
        ("views.kind=cubemap", True),
        ("position.kind=none", True),
        ("stages.finetune.lr.projector=1e-5", True),
        ("stages.vision.batch_size=2", True),
        ("lora.r=8", False),
        ("stages.finetune.lr.adapter=1e-5", False),
        ("stages.finetune.batch_size=2", False),
    ],
)
def test_the_blind_baseline_knows_nothing_of_what_sees(override, same):
    assert equal(override, blind=True) == [same]


def test_turned_texts_of_the_blind_baseline_know_the_views():
    turned = "data.augment.yaw=stride"
    assert keys(turned, blind=True) != keys(turned, "views.overlap=0.25", blind=True)


def test_a_manifest_counts_by_its_content(tmp_path):
    file = tmp_path / "train.csv"
    file.write_text("url,query,annotation\na.jpg,what?,this\n")
    named = f"data.train=[{{source: {file}}}]"
    before = keys(named)
    assert keys(named) == before
    file.write_text("url,query,annotation\na.jpg,what?,that\n")
    assert all(a != b for a, b in zip(before, keys(named), strict=True))


def test_a_study_trains_aside_what_several_runs_need(write):
    study = load_study(write())
    found = {run.name: [link.stage for link in run.shared] for run in study.runs}
    assert set(map(tuple, found.values())) == {("vision", "resampler")}  # vision by position and rank, then by rank
    seeds = {run.seed: {link.key for other in study.runs if other.seed == run.seed for link in other.shared}
             for run in study.runs}  # fmt: skip
    assert not seeds[0] & seeds[1]
    assert len(seeds[0]) == 3


def test_a_stage_on_the_way_to_a_shared_one_is_not_kept_apart():
    one, two = chain(build_config({})), chain(build_config({}, overrides=["lora.r=8"]))
    assert [link.stage for link in shared_links({"a": one, "b": two})["a"]] == ["resampler"]
    assert shared_links({"a": one, "b": two})["a"][0].upto == ("vision", "resampler")
    assert shared_links({"a": one}) == {"a": ()}
