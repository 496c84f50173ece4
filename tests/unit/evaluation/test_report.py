"""The report: one safe, self-contained file with every part of a run, or the reason why a part is absent."""

import base64
import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from panollava.errors import DataError
from panollava.evaluation import plots, report
from panollava.evaluation.report import write_report
from panollava.geometry.sphere import SECTORS8

COLUMNS = ("image_path", "original_query", "prediction", "reference", "kind", "sample_id")
MALICIOUS = '<script>alert("x")</script>'
VOID = {"meta", "link", "img", "source", "br"}


def model_scores(accuracy: float = 0.5) -> dict[str, object]:
    confusion = [[0] * 9 for _ in range(8)]
    for i in range(8):
        confusion[i][i], confusion[i][(i + 1) % 8] = 3, 1
    return {
        "accuracy": accuracy,
        "by_kind": {
            "colour": {"accuracy": accuracy, "count": 100, "chance": 0.125},
            "direction8": {"accuracy": accuracy, "count": 100, "chance": 0.125},
        },
        "direction8": {"labels": list(SECTORS8), "confusion": confusion, "soft": 0.8},
        "captions": {
            "bleu4": {
                "value": 0.1834221, "implementation": "sacrebleu", "signature": "nrefs:1|tok:13a",
                "higher_is_better": True, "reason": None,
            },
            "spice": {
                "value": None, "implementation": "pycocoevalcap", "signature": "",
                "higher_is_better": True, "reason": "SPICE needs Java.",
            },
        },
        "perplexity": {"corpus": 3.2, "per_text": 3.9},
        "empty_predictions": 1,
    }  # fmt: skip


def metrics(**changes: object) -> dict[str, object]:
    return {
        "format": 1,
        "experiment": "tiny",
        "created": "2025-01-02T03:04:05+00:00",
        "checkpoint": "checkpoints/finetune",
        "test": {"panoramas": 3, "questions": 200},
        "model": model_scores(0.75),
        "blind": model_scores(0.25),
        "seconds": {"train": 120.0, "evaluate": 30.0},
        "peak_memory_mb": 1234.0,
        "tokens_per_panorama": 153,
        **changes,
    }


def write_metrics(folder: Path, **changes: object) -> None:
    (folder / "metrics.json").write_text(json.dumps(metrics(**changes)), encoding="utf-8")


def write_rows(path: Path, rows: list[tuple[str, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])


@pytest.fixture(autouse=True)
def quick_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Charts take most of the time: one test draws them, the others see blank ones."""
    for name in ("accuracy", "directions", "confusion", "compass", "curves"):
        monkeypatch.setattr(plots, f"{name}_figure", lambda *_args, **_options: Figure((9, 3)))
    monkeypatch.setattr(report, "png_bytes", lambda _figure: b"chart")


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A folder with every file that the report reads."""
    write_metrics(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (8, 16, 3), dtype=np.uint8)
    for name in ("a.png", "b.png"):
        Image.fromarray(pixels).save(tmp_path / name)
    rows = [
        ("a.png", "what colour is it?", "red", "Red.", "colour", "1"),
        ("a.png", "which colour?", MALICIOUS, "blue", "colour", "2"),
        ("a.png", "describe", "a room", "an empty room", "caption", "3"),
        ("b.png", "what colour is it?", "", "red", "colour", "4"),
    ]
    write_rows(tmp_path / "predictions.csv", rows)
    write_rows(tmp_path / "blind_predictions.csv", [(r[0], r[1], "green", *r[3:]) for r in rows])
    (tmp_path / "config.yaml").write_text("evaluation: {sample_panoramas: 2}\n", encoding="utf-8")
    stage = {
        "name": "finetune", "objective": "language", "trains": ["adapter"], "trainable": {"adapter": 131_072},
        "frozen": {"language": 5_120_000}, "steps": 12, "seconds": 61.0, "final_loss": 0.625,
    }  # fmt: skip
    (tmp_path / "stages.json").write_text(json.dumps([stage]), encoding="utf-8")
    log = tmp_path / "logs" / "finetune" / "metrics.csv"
    log.parent.mkdir(parents=True)
    log.write_text("epoch,lr,step,train/loss,val/loss\n0,,1,2.0,\n0,1e-3,1,,\n0,,2,1.5,\n0,,2,,1.6\n")
    return tmp_path


class Page(HTMLParser):
    """Tags with attributes, balance of tags, text outside of style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def read(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def test_the_report_shows_every_part(run_dir: Path):
    path = write_report(run_dir)
    assert path == run_dir / "report.html"
    text = read(path).text
    for expected in (
        "75.0 %", "25.0 %", "seeing is worth 50.0 points", "6.0 times chance", "2 min 30 s",
        "0.183422", "nrefs:1|tok:13a", "SPICE needs Java.", "Perplexity of the references: 3.200000",
        "1 of 2 right", "not scored", "green", "0.6250", "adapter", "131 k", "5.12 M", "sample_panoramas: 2",
    ):  # fmt: skip
        assert expected in text


def test_charts_are_pictures_in_the_page_and_beside_it(run_dir: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()
    page = read(write_report(run_dir))
    names = sorted(path.name for path in (run_dir / "plots").iterdir())
    assert names == ["accuracy.png", "curves.png", "directions.png"]
    files = [(run_dir / "plots" / name).read_bytes() for name in names]
    assert all(Image.open(io.BytesIO(data)).width >= 900 for data in files)
    inside = [attrs["src"] for attrs in page.all("img")] + [attrs["srcset"] for attrs in page.all("source")]
    charts = [base64.b64decode((uri or "").split(",")[1]) for uri in inside if "image/png" in (uri or "")]
    assert len(charts) == 4 + 4 + 4  # light; dark; narrow light and dark of two of them
    assert len(set(charts)) == len(charts)
    assert {files[0], files[1]} < set(charts)  # the same bytes, drawn twice
    assert (run_dir / "report.html").stat().st_size < 1_000_000


def test_the_report_needs_nothing_else(run_dir: Path):
    path = write_report(run_dir)
    text, page = path.read_text(encoding="utf-8"), read(path)
    assert not page.all("script")
    links = [attrs[key] for _, attrs in page.tags for key in ("src", "srcset", "href") if attrs.get(key)]
    assert links
    assert all(link.startswith(("data:", "#")) for link in links if link)
    assert "url(" not in text
    assert "@import" not in text
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy and policy.startswith("default-src 'none'")
    anchors = {attrs["id"] for _, attrs in page.tags if attrs.get("id")}
    assert {link[1:] for link in links if link and link.startswith("#")} <= anchors


def test_text_of_the_run_is_escaped(run_dir: Path):
    write_metrics(run_dir, experiment=MALICIOUS, checkpoint='"><img src=x onerror=alert(1)>')
    (run_dir / "config.yaml").write_text(f"name: '{MALICIOUS}'\n", encoding="utf-8")
    page = read(write_report(run_dir))
    assert not page.all("script")
    assert page.text.count(MALICIOUS) >= 4  # title, heading, prediction, configuration
    assert not any(key.startswith("on") for _, attrs in page.tags for key in attrs)


def test_pictures_have_words_and_tables_have_headers(run_dir: Path):
    page = read(write_report(run_dir))
    images = page.all("img")
    assert len(images) == 6  # accuracy, confusion, compass, curves, two panoramas
    assert all(image["alt"] and image["width"] and image["height"] for image in images)
    assert all(attrs.get("scope") in ("col", "row") for attrs in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table"))
    assert page.all("html") == [{"lang": "en"}]


def test_verdicts_are_words_beside_colours(run_dir: Path):
    text = write_report(run_dir).read_text(encoding="utf-8")
    verdicts = re.findall(
        r'<span class="verdict (\w+)">(.*?)</span></td>', text.replace(" right</span>", " right</span>")
    )
    words = [(kind, re.sub(r"<.*?>", "", inner).split()[-1]) for kind, inner in verdicts]
    assert words == [("right", "right"), ("wrong", "wrong"), ("none", "scored"), ("wrong", "wrong")]


def test_panoramas_are_scaled_down(run_dir: Path):
    Image.new("RGB", (1800, 900)).save(run_dir / "a.png")
    page = read(write_report(run_dir))
    pictures = [image for image in page.all("img") if (image["src"] or "").startswith("data:image/jpeg")]
    assert [(image["width"], image["height"]) for image in pictures] == [("900", "450"), ("16", "8")]


def test_a_picture_may_lie_below_the_current_folder(
    run_dir: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
):
    current = tmp_path_factory.mktemp("current")
    for name in ("a.png", "b.png"):
        (run_dir / name).rename(current / name)
    assert "cannot be shown" in read(write_report(run_dir)).text
    monkeypatch.chdir(current)
    assert "cannot be shown" not in read(write_report(run_dir)).text


@pytest.mark.parametrize(
    ("absent", "said"),
    [
        ("predictions.csv", "There is no predictions.csv"),
        ("stages.json", "There is no stages.json"),
        ("config.yaml", "There is no config.yaml"),
        ("logs/finetune/metrics.csv", "There are no training logs"),
        ("b.png", "The picture cannot be shown"),
    ],
)
def test_an_absent_file_is_said_where_it_would_be_shown(run_dir: Path, absent: str, said: str):
    (run_dir / absent).unlink()
    assert said in read(write_report(run_dir)).text


def test_metrics_alone_make_a_report_and_stale_charts_go(run_dir: Path, tmp_path_factory: pytest.TempPathFactory):
    bare = tmp_path_factory.mktemp("bare")
    write_metrics(bare, blind=None, model={**model_scores(), "direction8": None, "captions": {}})
    (bare / "plots").mkdir()
    (bare / "plots" / "curves.png").write_bytes(b"old")
    text = read(write_report(bare)).text
    assert "No blind baseline ran" in text
    assert "No question of this test asks for one of eight directions" in text
    assert [path.name for path in (bare / "plots").iterdir()] == ["accuracy.png"]


def test_a_test_of_captions_alone_has_no_accuracy(run_dir: Path):
    captions_only = {
        **model_scores(),
        "accuracy": None,
        "by_kind": {},
        "direction8": None,
        "caption_items": 7,
    }
    write_metrics(run_dir, model=captions_only, blind=None)
    text = read(write_report(run_dir)).text
    assert "No question of this test has a short answer" in text
    assert "Over 7 texts." in text
    assert not (run_dir / "plots" / "accuracy.png").exists()


@pytest.mark.parametrize(
    ("model", "blind", "said"),
    [
        (0.75, 0.25, "seeing is worth 50.0 points"),
        (0.25, 0.75, "seeing costs 50.0 points"),
        (0.51, 0.50, "no clear difference"),
    ],
)
def test_the_headline_claims_no_more_than_the_numbers(run_dir: Path, model: float, blind: float, said: str):
    write_metrics(run_dir, model=model_scores(model), blind=model_scores(blind))
    assert said in read(write_report(run_dir)).text


def test_chance_is_missing_when_a_kind_has_none(run_dir: Path):
    scores = model_scores()
    scores["by_kind"]["view"] = {"accuracy": 0.1, "count": 5, "chance": None}  # type: ignore[index]
    write_metrics(run_dir, model=scores)
    assert "no level for view" in read(write_report(run_dir)).text


def test_no_metrics_is_an_error_that_names_the_file(tmp_path: Path):
    with pytest.raises(DataError, match=r"metrics\.json: cannot be read"):
        write_report(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not a JSON file"),
        ("[]", "wrong kind"),
        (json.dumps({"format": 2}), "format 2 is unknown"),
        (
            json.dumps({key: value for key, value in metrics().items() if key != "model"}),
            "'model' is missing",
        ),
        (json.dumps(metrics(test={"panoramas": "many", "questions": 1})), "wrong kind"),
    ],
)
def test_damaged_metrics_are_an_error(run_dir: Path, content: str, said: str):
    (run_dir / "metrics.json").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=said) as caught:
        write_report(run_dir)
    assert "metrics.json" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("stages.json", '[{"name": "x"}]', "no key"),
        ("config.yaml", "evaluation: {sample_panoramas: -1}", "sample_panoramas is -1"),
        ("config.yaml", "a: [", "not YAML"),
        ("logs/finetune/metrics.csv", "step,train/loss\n1,high\n", "row 2, column 'train/loss': 'high'"),
        ("predictions.csv", "image_path,original_query\na.png,b,c\n", r"predictions\.csv"),
        ("skipped.json", "[1]", "not a list of skipped images"),
    ],
)
def test_a_damaged_file_is_an_error_that_names_it(run_dir: Path, name: str, content: str, said: str):
    (run_dir / name).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=said) as caught:
        write_report(run_dir)
    assert name in str(caught.value)


def test_rows_that_were_left_out_have_a_section(run_dir: Path):
    page = read(write_report(run_dir))
    assert "Skipped rows" not in page.text
    entry = {"split": "test", "image": "gone.jpg", "reason": "No such file", "source": "t.csv", "rows": [7]}
    (run_dir / "skipped.json").write_text(json.dumps([entry]), encoding="utf-8")
    write_metrics(run_dir, test={"panoramas": 3, "questions": 200, "skipped": 1})
    page = read(write_report(run_dir))
    assert all(words in page.text for words in ("Skipped rows", "gone.jpg", "No such file", "1 question left out"))
    assert {"href": "#skipped"} in page.all("a")
