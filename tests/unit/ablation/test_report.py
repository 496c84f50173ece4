"""From the folder of a study to its table, its files and its page; runs are written here, nothing is trained."""

import csv
import html.parser
import io
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from panollava.ablation.breakdown import breakdown
from panollava.ablation.report import read_outcome, write_study
from panollava.ablation.statistics import BETTER, SAME
from panollava.ablation.table import markdown, metrics_table, study_table
from panollava.data.manifest import Sample
from panollava.data.writers import write_predictions_csv
from panollava.errors import DataError
from panollava.evaluation.predict import Answers
from panollava.evaluation.score import score

COLOURS = ("red", "green", "blue", "white")
SIDES = ("front", "right", "behind", "left")
HOSTILE = "<script>alert(1)</script>&amp;"


class Builder:
    """Writes the folder of a study: every question is answered right with the chance of its arm."""

    def __init__(self, folder: Path, *, images: int = 20, seed: int = 0) -> None:
        self.folder, self.random = folder, np.random.default_rng(seed)
        self.images = []
        for number in range(images):
            path = folder / "data" / "images" / f"{number:02d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            if not number % 5:
                Image.new("RGB", (64, 32), (number * 9, 80, 120)).save(path)
            self.images.append(path)
        self.arms: list[dict] = []

    def arm(self, name: str, right: float, *, seeds=(0, 1, 2), failed=(), **options) -> "Builder":
        settings = options.pop("settings", {"views.kind": name})
        runs = []
        for seed in (*seeds, *failed):
            place = f"arms/{name}/seed-{seed}"
            run = {"seed": seed, "dir": place, "status": "failed" if seed in failed else "done", "seconds": 61.0}
            run |= {"error": f"it broke {HOSTILE}" if seed in failed else None, "peak_memory_mb": 512.0}
            runs.append(run)
            if seed in seeds:
                self._run(self.folder / place, right, seed, **options)
        self.arms.append({"name": name, "overrides": settings, "derived": {}, "runs": runs})
        return self

    def write(self, baseline: str | None = None) -> Path:
        content = {
            "format": 1,
            "name": f"study {HOSTILE}",
            "baseline": baseline or self.arms[0]["name"],
            "arms": self.arms,
        }
        (self.folder / "study.json").write_text(json.dumps(content))
        return self.folder

    def samples(self, right: float, *, questions=6, captions=True, mumbled=()) -> list[Sample]:
        found = []
        for path in self.images:
            for number in range(questions):
                kind, words = ("colour", COLOURS) if number % 2 else ("direction4", SIDES)
                answer = words[(number + len(found)) % 4]
                said = answer if self.random.random() < right else words[(number + len(found) + 1) % 4]
                said = "somewhere" if len(found) in mumbled else said
                found.append(self._sample(path, f"{kind} {number}?", answer, kind, len(found), said))
            if captions:
                told = (
                    "a red cone in a room" if self.random.random() < right else f"a {self.random.choice(COLOURS)} ball"
                )
                found.append(self._sample(path, "describe", "a red cone in a room", "caption", len(found), told))
        return found

    @staticmethod
    def _sample(path: Path, query: str, answer: str, kind: str, row: int, said: str) -> Sample:
        return Sample(path, query, answer, kind, f"s{row}", str(path), "test", row + 2, said)

    def _run(
        self,
        folder: Path,
        right: float,
        seed: int,
        *,
        blind=0.3,
        shuffled=None,
        tokens=160,
        cut=3,
        metrics=("bleu4", "cider"),
        **questions,
    ) -> None:
        folder.mkdir(parents=True)
        answers = self._answers(right, cut, questions)
        write_predictions_csv(
            folder / "predictions.csv", answers.samples, likelihood=zip(answers.nll, answers.tokens, strict=True)
        )
        content = {"format": 1, "experiment": folder.name, "created": "2026-01-01", "checkpoint": str(folder / "last")}
        content |= {"test": {"panoramas": len(self.images), "questions": len(answers.samples)}, "untrained": None}
        content |= {"model": score(answers, metrics=metrics), "blind": None, "peak_memory_mb": 400.0}
        content |= {"tokens_per_panorama": tokens, "seconds": {"evaluation": 2.0 * len(self.images)}}
        if blind is not None:
            content["blind"] = score(self._answers(blind, cut, questions), metrics=metrics)
        if shuffled is not None:
            told = score(self._answers(shuffled, cut, questions), metrics=metrics)
            (folder / "shuffled.json").write_text(json.dumps(told))
        (folder / "metrics.json").write_text(json.dumps(content))
        self._logs(folder)

    def _answers(self, right: float, cut: int, questions: dict) -> Answers:
        samples = self.samples(right, **questions)
        return Answers(samples, (1.5 - right + self.random.random(len(samples))).tolist(), [cut] * len(samples))

    def _logs(self, folder: Path) -> None:
        stage = {"name": "finetune", "objective": "language", "trainable": {"adapter": 1200}, "frozen": {"language": 9}}
        (folder / "stages.json").write_text(json.dumps([{**stage, "steps": 30, "seconds": 12.0, "final_loss": 0.5}]))
        (folder / "logs" / "finetune").mkdir(parents=True)
        lines = ["step,train/loss,val/loss"]
        lines += [f"{step},{2 / (1 + step / 10) + 0.1 * self.random.random():.4f}," for step in range(30)]
        (folder / "logs" / "finetune" / "metrics.csv").write_text("\n".join([*lines, "29,,0.7"]) + "\n")
        (folder / "report.html").write_text("a report")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    builder = Builder(tmp_path_factory.mktemp("study"))
    builder.arm("plain", 0.4, shuffled=0.3).arm("twin", 0.4).arm("good", 0.75, tokens=96).arm(
        "half", 0.4, failed=(1,), seeds=(0, 2)
    )
    return builder.arm("lost", 0.4, seeds=(), failed=(0, 1, 2)).write()


@pytest.fixture(scope="module")
def outcome(study):
    return read_outcome(study)


@pytest.fixture(scope="module")
def page(study):
    return write_study(study).read_text(encoding="utf-8")


def test_a_planted_effect_is_found_and_a_twin_is_not(outcome):
    metric = outcome.decisive
    assert metric.name == "accuracy"
    assert metric.arms["good"].contrast.verdict == BETTER
    assert metric.arms["twin"].contrast.verdict == SAME
    assert metric.arms["plain"].contrast is None


def test_scores_are_those_of_the_runs(outcome, study):
    for arm in ("plain", "good"):
        for seed in range(3):
            told = json.loads((study / f"arms/{arm}/seed-{seed}/metrics.json").read_text())
            for metric in outcome.metrics:
                if metric.name == "accuracy":
                    assert metric.arms[arm].by_seed[seed] == told["model"]["accuracy"]
                elif metric.name in told["model"]["captions"]:
                    assert metric.arms[arm].by_seed[seed] == told["model"]["captions"][metric.name]["value"]


def test_every_caption_metric_and_perplexity_is_compared(outcome):
    names = [metric.name for metric in outcome.metrics]
    assert names == ["accuracy", "bleu4", "cider", "perplexity_corpus"]
    perplexity = outcome.metrics[-1]
    assert not perplexity.higher_is_better
    assert all(metric.arms["good"].contrast.p is not None for metric in outcome.metrics)
    assert perplexity.arms["good"].contrast.difference < 0 and perplexity.arms["good"].contrast.verdict == BETTER


def test_a_failed_run_leaves_its_pair_out_and_says_so(outcome):
    score_ = outcome.decisive.arms["half"]
    assert sorted(score_.by_seed) == [0, 2] and score_.contrast.seeds == 2
    [(run, reason)] = outcome.failed["half"]
    assert run.seed == 1 and "it broke" in reason


def test_an_arm_whose_runs_all_failed_has_no_score_and_not_zero(outcome, page):
    lost = outcome.decisive.arms["lost"]
    assert lost.mean is None and lost.contrast.difference is None and lost.seeds is None
    assert "lost has no score: 3 runs did not finish" in page


def test_other_tokens_are_no_perplexity_to_compare(tmp_path):
    outcome = read_outcome(Builder(tmp_path).arm("a", 0.4).arm("b", 0.4, cut=4).write())
    by_name = {metric.name: metric for metric in outcome.metrics}
    assert by_name["perplexity_corpus"].arms["b"].contrast.difference is None
    assert "other tokens" in by_name["perplexity_corpus"].arms["b"].contrast.reason
    assert by_name["accuracy"].arms["b"].contrast.p is not None


def test_other_questions_are_not_compared(tmp_path):
    outcome = read_outcome(Builder(tmp_path).arm("a", 0.4).arm("b", 0.4, questions=5).write())
    contrast = outcome.decisive.arms["b"].contrast
    assert contrast.difference is None and "other questions" in contrast.reason
    assert outcome.decisive.arms["b"].mean is not None


@pytest.mark.parametrize("others", [range(18, 24), range(18, 30), range(0, 36, 6)])
def test_errors_over_the_answers_of_other_images_are_not_compared(tmp_path, others):
    # The mean error leaves out answers that name no direction: all of two images; all of one other, all of two others,
    # and as many of six images, which leaves more images and the same number of answers.
    options = {"captions": False, "metrics": ("direction_mae_deg",), "blind": None}
    builder = Builder(tmp_path).arm("a", 0.4, mumbled=range(12), **options).arm("b", 0.9, mumbled=others, **options)
    builder.arm("c", 0.9, mumbled=range(12), **options)
    text = write_study(builder.write()).read_text()
    errors = next(metric for metric in read_outcome(tmp_path).metrics if metric.name == "direction_mae_deg")
    contrast = errors.arms["b"].contrast
    assert contrast.difference is None and contrast.verdict == "not tested"
    assert "answers that cannot be read are left out" in contrast.reason and contrast.reason in text
    assert errors.arms["b"].mean is not None and errors.arms["b"].images is not None
    assert errors.arms["c"].contrast.verdict == BETTER and errors.arms["c"].contrast.images == 18


def test_seeds_whose_errors_are_over_other_images_have_no_interval_over_images(tmp_path):
    builder = Builder(tmp_path).arm("a", 0.4, seeds=(), failed=())
    for seed in range(3):
        options = {
            "captions": False,
            "metrics": ("direction_mae_deg",),
            "blind": None,
            "mumbled": range(6 * seed, 6 * seed + 6),
        }
        builder.arm("b", 0.4, seeds=(seed,), **options)
    [first, *rest] = builder.arms[1:]
    builder.arms[1:] = [{**first, "runs": [run for arm in (first, *rest) for run in arm["runs"]]}]
    errors = next(m for m in read_outcome(builder.write("b")).metrics if m.name == "direction_mae_deg")
    assert len(errors.arms["b"].by_seed) == 3 and errors.arms["b"].images is None


def test_an_arm_without_a_seed_of_the_baseline_says_so(tmp_path):
    outcome = read_outcome(Builder(tmp_path).arm("a", 0.4).arm("b", 0.4, seeds=(7,)).write())
    assert "no finished run with a seed of the baseline" in outcome.decisive.arms["b"].contrast.reason


def test_a_test_of_captions_alone_is_decided_by_the_first_caption_metric(tmp_path):
    outcome = read_outcome(Builder(tmp_path).arm("a", 0.2, questions=0).arm("b", 0.9, questions=0).write())
    assert outcome.decisive.name == "bleu4" and outcome.decisive.arms["b"].contrast.verdict == BETTER
    assert "No question of this test has a short answer" in write_study(tmp_path).read_text()


def test_a_metric_that_could_not_run_is_missing_with_its_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("PANOLLAVA_CORENLP", str(tmp_path / "nothing"))
    outcome = read_outcome(
        Builder(tmp_path / "s").arm("a", 0.4, metrics=("spice",)).arm("b", 0.4, metrics=("spice",)).write()
    )
    spice = next(metric for metric in outcome.metrics if metric.name == "spice")
    assert spice.arms["a"].mean is None and "SPICE" in spice.arms["a"].reason
    assert "missing" in _text(metrics_table(outcome))


def test_a_run_whose_files_are_damaged_is_told_and_the_others_stay(tmp_path):
    folder = Builder(tmp_path).arm("a", 0.4).arm("b", 0.8).write()
    (folder / "arms/b/seed-1/metrics.json").write_text("{")
    outcome = read_outcome(folder)
    assert sorted(outcome.runs["b"]) == [0, 2]
    assert "metrics.json" in outcome.failed["b"][0][1]


@pytest.mark.parametrize("name", ["accuracy", "cider"])
def test_a_score_that_its_answers_do_not_give_is_shown_and_not_tested(tmp_path, name):
    folder = Builder(tmp_path).arm("a", 0.4).arm("b", 0.8).write()
    for seed in range(3):
        path = folder / f"arms/b/seed-{seed}/metrics.json"
        told = json.loads(path.read_text())
        (told["model"] if name == "accuracy" else told["model"]["captions"]["cider"])[
            "accuracy" if name == "accuracy" else "value"
        ] = 0.123
        path.write_text(json.dumps(told))
    metrics = {metric.name: metric for metric in read_outcome(folder).metrics}
    changed = metrics[name].arms["b"]
    assert changed.mean == pytest.approx(0.123) and changed.contrast.difference is None
    assert "computed anew" in changed.contrast.reason
    assert metrics["bleu4"].arms["b"].contrast.p is not None


def test_blind_and_shuffled_scores_stand_beside_every_arm(outcome):
    plain, good = outcome.decisive.arms["plain"], outcome.decisive.arms["good"]
    assert plain.blind == pytest.approx(0.3, abs=0.1) and plain.shuffled == pytest.approx(0.3, abs=0.1)
    assert good.shuffled is None


def test_costs_are_those_of_the_runs(outcome):
    costs = outcome.costs["good"]
    assert (costs.tokens, costs.seconds_per_panorama, costs.peak_memory_mb) == (96, 2.0, 512.0)
    assert (costs.trained_parameters, costs.training_seconds) == (1200, 12.0)
    assert outcome.costs["lost"].tokens is None


def test_one_seed_gives_an_interval_over_images_and_no_verdict(tmp_path):
    outcome = read_outcome(Builder(tmp_path).arm("a", 0.4, seeds=(0,)).arm("b", 0.9, seeds=(0,)).write())
    score_ = outcome.decisive.arms["b"]
    assert score_.seeds is None and score_.images is not None
    assert score_.contrast.interval is not None and score_.contrast.verdict == "not tested"
    assert "one seed" in write_study(tmp_path).read_text()


# -- tables and files ------------------------------------------------------------------------------


def _text(renderable, width=100):
    console = Console(width=width, record=True, color_system=None, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def test_the_terminal_table_fits_100_columns_and_names_every_arm(outcome):
    text = _text(study_table(outcome))
    assert max(map(len, text.splitlines())) <= 100
    for arm in ("plain", "twin", "good", "half", "lost"):
        assert arm in text
    assert "2 of 3" in text and "not different" in text and "no score" in text and "\u2026" not in text


def test_markdown_has_a_line_per_arm_and_the_settings_that_differ(outcome):
    text = markdown(outcome)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + 5 and "`views.kind`" in rows[0]
    assert len({row.count("|") for row in rows}) == 1


def test_only_settings_that_differ_are_columns(tmp_path):
    builder = Builder(tmp_path)
    for name, value in (("a", 1), ("b", 2)):
        builder.arm(name, 0.4, settings={"lora.r": value, "lora.alpha": 32, "stages": {"a": [1]}})
    assert read_outcome(builder.write()).study.varied == ("lora.r",)


def test_the_csv_has_a_row_per_arm(page, study):
    with (study / "ablation.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["arm"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["plain", "twin", "good", "half", "lost"]
    assert rows["good"]["accuracy_verdict"] == "better" and rows["plain"]["accuracy_verdict"] == "baseline"
    assert rows["lost"]["accuracy"] == "" and "it broke" in rows["lost"]["error"]
    assert float(rows["good"]["accuracy_difference_low"]) < float(rows["good"]["accuracy_difference"])


def test_the_json_says_how_its_numbers_came_about(page, study):
    content = json.loads((study / "ablation.json").read_text(encoding="utf-8"))
    assert content["correction"].startswith("Holm") and "Hillis" in content["test"] and content["panollava"]
    accuracy = content["metrics"]["accuracy"]
    assert accuracy["signature"] and accuracy["arms"]["good"]["contrast"]["images"] == 20
    assert content["arms"]["half"]["failed"][0]["seed"] == 1


def test_files_are_the_same_when_written_again(page, study):
    before = {path.name: path.read_bytes() for path in study.glob("ablation.*")}
    write_study(study)
    assert {path.name: path.read_bytes() for path in study.glob("ablation.*")} == before


@pytest.mark.parametrize(
    ("content", "words"),
    [("{", "not a JSON"), ('{"format": 2}', "format 2"), ('{"format": 1, "arms": []}', "'name'"), ("[]", "wrong kind"),
     ('{"format": 1, "name": "x", "baseline": "b", "arms": []}', "baseline 'b'")],
)  # fmt: skip
def test_a_damaged_study_is_an_error_that_names_the_file(tmp_path, content, words):
    (tmp_path / "study.json").write_text(content)
    with pytest.raises(DataError, match=re.escape(words)) as error:
        read_outcome(tmp_path)
    assert "study.json" in str(error.value)


def test_a_folder_without_a_study_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"study\.json.*panollava ablate"):
        write_study(tmp_path)


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def test_a_test_of_one_panorama_makes_valid_json_and_a_page_without_nan(tmp_path):
    folder = Builder(tmp_path, images=1).arm("a", 0.2).arm("b", 0.9).write()
    text = write_study(folder).read_text()
    content = json.loads((folder / "ablation.json").read_text(), parse_constant=_no_constant)
    contrast = content["metrics"]["accuracy"]["arms"]["b"]["contrast"]
    assert contrast["difference"] > 0 and "1 image; a test needs" in contrast["reason"]
    assert not re.search(r"\bnan\b", re.sub(r"base64,[^\"]*", "", text), re.IGNORECASE)
    outcome = read_outcome(folder)
    cells = breakdown(outcome.study, outcome.runs)
    assert all(np.isfinite(cell.contrasts["b"].difference) for cell in cells)


def test_a_score_that_is_no_number_is_null_with_its_reason(tmp_path):
    folder = Builder(tmp_path).arm("a", 0.4).arm("b", 0.8).write()
    for seed in range(3):
        path = folder / f"arms/b/seed-{seed}/metrics.json"
        told = json.loads(path.read_text())
        told["model"]["accuracy"] = told["blind"]["accuracy"] = float("nan")
        path.write_text(json.dumps(told))
    write_study(folder)
    content = json.loads((folder / "ablation.json").read_text(), parse_constant=_no_constant)
    arm = content["metrics"]["accuracy"]["arms"]["b"]
    assert arm["mean"] is None and arm["blind"] is None and "metrics.json says nan" in arm["reason"]


# -- the page --------------------------------------------------------------------------------------


class Tags(html.parser.HTMLParser):
    """Counts elements and checks that they close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.seen, self.links, self.ids = [], Counter(), [], []

    def handle_starttag(self, tag, attrs):
        self.seen[tag] += 1
        self.ids += [value for key, value in attrs if key == "id"]
        self.links += [value for key, value in attrs if key in ("href", "src", "srcset")]
        if tag not in ("meta", "link", "img", "br", "source", "wbr"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def _parsed(text: str) -> Tags:
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    return tags


def test_the_page_is_well_formed_alone_and_has_every_section(page):
    tags = _parsed(page)
    for part in ("verdict", "arms", "tokens", "others", "groups", "curves", "samples", "failed", "runs"):
        assert part in tags.ids
    assert not tags.seen["script"]
    outside = [link for link in tags.links if not link.startswith(("data:", "#", "arms/"))]
    assert outside == []


def test_text_of_runs_is_escaped(page):
    assert "<script" not in page and "&lt;script&gt;" in page


def test_links_lead_to_the_reports_of_the_runs(tmp_path):
    folder = Builder(tmp_path).arm("lora.r=16,views=e2p+x", 0.4).write()
    links = [link for link in _parsed(write_study(folder).read_text()).links if link.endswith("report.html")]
    assert links == [f"arms/lora.r%3D16%2Cviews%3De2p%2Bx/seed-{seed}/report.html" for seed in range(3)]


def test_every_arm_has_a_sentence_and_failures_their_errors(page):
    for words in (
        "good is better than the baseline",
        "twin is not shown to differ from the baseline",
        "plain is the baseline",
    ):
        assert words in page
    assert page.count("it broke &lt;script") >= 4


@pytest.mark.parametrize("arms", [1, 12])
def test_one_arm_or_twelve_with_long_names_make_a_page(tmp_path, arms):
    builder = Builder(tmp_path, images=10)
    for number in range(arms):
        name = f"stages.finetune.lr.adapter=0.000{number},views.kind=cubemap" if arms > 1 else "only"
        builder.arm(name, 0.5, seeds=(0,), blind=None, settings={"lora.r": number})
    outcome = read_outcome(builder.write())
    _parsed(write_study(tmp_path).read_text())
    assert max(map(len, _text(study_table(outcome)).splitlines())) <= 100


def test_a_study_in_which_nothing_has_finished_makes_a_page_that_says_so(tmp_path):
    folder = Builder(tmp_path).arm("a", 0.4, seeds=(), failed=(0,)).arm("b", 0.4, seeds=(), failed=(0,)).write()
    text = write_study(folder).read_text()
    assert "No run of this study has finished" in text
    assert "0 of 1" in _text(study_table(read_outcome(folder)))


# -- groups of questions ---------------------------------------------------------------------------


def test_groups_add_up_to_the_whole(outcome):
    cells = [cell for cell in breakdown(outcome.study, outcome.runs) if cell.theme == "kind of question"]
    assert [cell.group for cell in cells] == ["colour", "direction4"]
    assert sum(cell.questions for cell in cells) == 20 * 6
    mean = sum(cell.baseline * cell.questions for cell in cells) / 120
    assert mean == pytest.approx(outcome.decisive.arms["plain"].mean)
    gain = sum(cell.contrasts["good"].difference * cell.questions for cell in cells) / 120
    assert gain == pytest.approx(outcome.decisive.arms["good"].contrast.difference)


def test_questions_for_a_direction_belong_to_the_one_of_their_reference(outcome):
    cells = [cell for cell in breakdown(outcome.study, outcome.runs) if cell.theme == "direction"]
    assert {cell.group for cell in cells} <= set(SIDES) and sum(cell.questions for cell in cells) == 60
