"""What the README shows is what the code does: snippets, settings, scores, the picture and its answers."""

import ast
import inspect
import json
import re
from unittest import mock

import numpy as np
import pytest

from panollava.ablation.study import load_study
from panollava.config import load_config
from panollava.metrics import METRICS

from .documents import PAGES, README, README_KO, ROOT, blocks, links, rows, text_of

DOCS = ROOT / "docs"
PLACEHOLDER = re.compile(r"<<[A-Z_]+>>")
PYTHON = [(page.name, number, body) for page in PAGES for number, body in enumerate(blocks(page, "python"))]


def block_with(page, language, words):
    [found] = [body for body in blocks(page, language) if words in body]
    return found


@pytest.mark.parametrize(("page", "number", "body"), PYTHON)
def test_every_import_of_a_snippet_exists(page, number, body):
    for node in ast.walk(ast.parse(body)):
        if isinstance(node, ast.ImportFrom):
            names = ", ".join(alias.name for alias in node.names)
            exec(f"from {node.module} import {names}", {})
        elif isinstance(node, ast.Import):
            for alias in node.names:
                exec(f"import {alias.name}", {})


def test_the_workflow_snippet_runs_as_written(monkeypatch, tmp_path):
    """With a tiny configuration in the place of the default one; the two long calls are replaced, signatures kept."""
    import workflow

    snippet = block_with(README, "python", "ThreeStageTrainer")
    assert '"configs/default.yaml"' in snippet
    final = tmp_path / "runs" / "tiny" / "finetune" / "last"
    train = mock.create_autospec(workflow.ThreeStageTrainer.run, return_value=str(final))
    score = mock.create_autospec(workflow.EvaluationRunner.run, return_value={"model": {}})
    monkeypatch.setattr(workflow.ThreeStageTrainer, "run", train)
    monkeypatch.setattr(workflow.EvaluationRunner, "run", score)
    monkeypatch.chdir(ROOT)
    left: dict = {}
    exec(snippet.replace("configs/default.yaml", "configs/tiny.yaml"), left)
    assert train.call_count == 1
    assert score.call_args.kwargs == {"checkpoint_dir": final.parent}
    assert left["cfg"].config.experiment.name == "tiny"
    assert left["metrics"] == {"model": {}}


def test_the_snippet_that_asks_fits_the_session():
    from panollava.inference.session import Session

    snippet = block_with(README, "python", "Session.load")
    calls = {node.func.attr: node for node in ast.walk(ast.parse(snippet)) if isinstance(node, ast.Call)
             and isinstance(node.func, ast.Attribute)}  # fmt: skip
    for name in ("load", "ask_many"):
        function = inspect.getattr_static(Session, name)
        function = getattr(function, "__func__", function)
        inspect.signature(function).bind("self", *calls[name].args)


def test_the_metrics_snippet_runs(capsys):
    exec(block_with(DOCS / "evaluation-metrics.md", "python", "compute_text_metrics"), {})
    scores, reason = capsys.readouterr().out.splitlines()
    assert scores == "{'rougeL': 0.8, 'spice': None}"
    assert "SPICE needs" in reason


def test_the_example_of_ones_own_models_is_a_configuration(tmp_path):
    (tmp_path / "default.yaml").write_text((ROOT / "configs" / "default.yaml").read_text())
    (tmp_path / "mine.yaml").write_text(block_with(README, "yaml", "siglip_base"))
    cfg = load_config(tmp_path / "mine.yaml")
    assert (cfg.vision.model, cfg.language.model, cfg.lora.r) == ("siglip_base", "qwen_0.5b", 16)
    assert cfg.data.train[0].source == "data/quic360/train.csv"
    assert len(cfg.stages) == 3


def test_the_example_of_inheritance_is_a_configuration(tmp_path):
    (tmp_path / "default.yaml").write_text((ROOT / "configs" / "default.yaml").read_text())
    (tmp_path / "mine.yaml").write_text(block_with(DOCS / "configuration.md", "yaml", "max_steps: 500"))
    assert load_config(tmp_path / "mine.yaml").stage("finetune").max_steps == 500


def test_the_study_is_the_one_in_configs(tmp_path):
    written = block_with(README, "yaml", "lora_configs")
    assert written == (ROOT / "configs" / "lora_ablation.yaml").read_text().replace(
        "# Every model with every adapter: panollava ablate --config configs/lora_ablation.yaml",
        "# configs/lora_ablation.yaml",
    )
    (tmp_path / "default.yaml").write_text((ROOT / "configs" / "default.yaml").read_text())
    (tmp_path / "study.yaml").write_text(written)
    study = load_study(tmp_path / "study.yaml")
    assert study.settings.experiment_name == "my_ablation_study"
    assert list(study.arms) == ["r16-a32", "r32-a64"]


def test_the_figures_of_the_default_experiment_are_those_of_its_file():
    cfg = load_config(ROOT / "configs" / "default.yaml")
    data = cfg.data.synthetic
    for page in (README, README_KO):
        text = text_of(page)
        assert f"{data.count:,}" in text
        assert f"{data.width} x {data.width // 2}" in text
        assert str(data.questions_per_panorama) in text
    assert [stage.name for stage in cfg.stages] == ["vision", "resampler", "finetune"]
    assert cfg.experiment.blind_baseline
    assert (cfg.vision.model, cfg.language.model) == ("embedded", "embedded")


def test_the_table_of_scores_is_what_score_prints(tmp_path, capsys):
    from panollava.cli import main

    (tmp_path / "predictions.csv").write_text(block_with(README, "csv", "hall.jpg"))
    assert main(["score", str(tmp_path / "predictions.csv")]) == 0
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    shown = block_with(README, "text", "protocol grouped").splitlines()
    marks = str.maketrans({"✓": "*", "✗": "*", "↑": "*", "-": "*", "^": "*"})

    def plain(lines):
        return [" ".join(line.replace("ok ", "* ").translate(marks).replace("**", "*").split()) for line in lines]

    assert plain(printed)[: len(shown)] == plain(shown)


def test_the_layouts_of_csv_files_are_read(tmp_path):
    from panollava.data.manifest import read_manifest

    heads = [body.strip() for body in blocks(README, "csv") if "\n" not in body.strip()]
    assert len(heads) == 3
    for number, head in enumerate(heads):
        file = tmp_path / f"{number}.csv"
        file.write_text(
            f"{head}\n{','.join('a.jpg' if i == 0 else f'words {i}' for i in range(head.count(',') + 1))}\n"
        )
        [sample] = read_manifest(file, check_images=False)
        assert (sample.query, sample.answer) == ("words 1", f"words {head.count(',')}")


def test_the_answers_beside_the_picture_are_those_of_its_scene():
    from panollava.data.synthetic.questions import QUESTION_KINDS
    from panollava.data.synthetic.scene import sample_scene

    images = load_script("make_images")
    scene = sample_scene(images.SEED, images.INDEX)
    assert scene.split == "train"
    assert any(item.crosses_seam for item in scene.objects)
    true = set()
    for seed in range(40):  # a name is one of several
        rng = np.random.default_rng(seed)
        true |= {(asked, said) for make in QUESTION_KINDS.values() for _, asked, said in make(scene, rng)}
    for page, heading in ((README, "question"), (README_KO, "질문")):
        shown = {(row[0], row[1]) for row in rows(page, heading)}
        assert len(shown) == 3
        assert shown <= true


def test_the_picture_is_there_and_small():
    picture = DOCS / "images" / "surroundqa_views.jpg"
    assert 20_000 < picture.stat().st_size < 300_000


def test_the_picture_is_what_the_library_draws():
    from PIL import Image

    drawn = load_script("make_images").surroundqa_views()
    kept = np.asarray(Image.open(DOCS / "images" / "surroundqa_views.jpg").convert("RGB"))
    assert kept.shape == drawn.shape
    assert np.abs(kept.astype(int) - drawn.astype(int)).mean() < 3.0  # JPEG


def test_the_table_of_keys_is_the_schemas():
    fields = load_script("make_fields")
    page = text_of(fields.PAGE)
    assert "`views.hfov_deg`" in page
    assert fields.page(page) == page, "run python docs/make_fields.py"


def test_the_table_of_metrics_is_the_suites():
    names = [name for row in rows(DOCS / "evaluation-metrics.md", "name") for name in re.findall(r"`(\w+)`", row[0])]
    assert names == list(METRICS)


def test_the_tables_of_surroundqa_are_the_generators():
    from fractions import Fraction

    from panollava.data.synthetic.captions import CAPTION_KINDS
    from panollava.data.synthetic.questions import chance_levels
    from panollava.data.synthetic.vocabulary import COLOURS, MATERIALS, SHAPES, SIZES

    page = DOCS / "surroundqa.md"
    chance = {kind: float(Fraction(cell)) for kind, _, cell in rows(page, "kind")}
    assert chance == pytest.approx(chance_levels())
    second = text_of(page).split("## Captions")[1]
    assert re.findall(r"^\| (caption\w*) \|", second, re.MULTILINE) == list(CAPTION_KINDS)
    attributes = {name: cell.split(", ") for name, cell in rows(page, "attribute")}
    assert attributes == {
        "colour": list(COLOURS),
        "shape": list(SHAPES),
        "size": list(SIZES),
        "material": list(MATERIALS),
    }


def test_the_count_of_vision_tokens_is_that_of_the_embedded_encoder():
    from panollava.geometry import build_layout

    cfg = load_config(ROOT / "configs" / "default.yaml")
    encoder = json.loads((ROOT / "src/panollava/embedded/vision/config.json").read_text())
    cell = encoder["patch_size"] * cfg.resampler.pool
    layout = build_layout(cfg.views.kind, **cfg.views.layout_options(encoder_size_px=encoder["image_size"]))
    count = sum((view.height_px // cell) * (view.width_px // cell) for view in layout.views)
    assert f"make {count} vision tokens" in text_of(DOCS / "architecture.md")


def test_links_and_pictures_lead_somewhere():
    for page in PAGES:
        for link in links(page):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_rooms_are_drawn():
    drawn = text_of(DOCS / "architecture.md").split("## Rooms")[1].split("## Geometry")[0]
    rooms = {path.name for path in (ROOT / "src" / "panollava").iterdir() if (path / "__init__.py").is_file()}
    for room in rooms:
        assert re.search(rf"\b{room}\b", drawn), f"docs/architecture.md does not draw {room}"


def test_the_korean_readme_says_the_same():
    for language in ("bash", "python", "yaml", "csv", "text"):
        assert blocks(README_KO, language) == blocks(README, language)
    assert len(re.findall(r"^#+ ", text_of(README_KO), re.MULTILINE)) == len(
        re.findall(r"^#+ ", text_of(README), re.MULTILINE)
    )
    for english, korean in (("script", "스크립트"), ("verb", "동사")):
        assert [row[0] for row in rows(README, english)] == [row[0] for row in rows(README_KO, korean)]
    assert sorted(PLACEHOLDER.findall(text_of(README))) == sorted(PLACEHOLDER.findall(text_of(README_KO)))
    assert sorted(set(links(README_KO)) - {"README.md"}) == sorted(set(links(README)) - {"README.ko.md"})


def test_the_notebook_compiles_and_imports_what_exists():
    book = json.loads((ROOT / "notebooks" / "quickstart.ipynb").read_text())
    cells = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 4
    for cell in cells:
        assert cell["outputs"] == [] and cell["execution_count"] is None
        source = "".join(cell["source"])
        compile(source, cell["id"], "exec")
        test_every_import_of_a_snippet_exists("quickstart.ipynb", 0, source)


def test_the_notebooks_cells_without_a_model_run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    book = json.loads((ROOT / "notebooks" / "quickstart.ipynb").read_text())
    left: dict = {}
    for cell in book["cells"]:
        if cell["cell_type"] == "code" and cell["id"] not in ("ask", "score"):
            exec("".join(cell["source"]), left)
    assert (tmp_path / "quickstart" / "panorama.png").is_file()
    assert len(left["questions"]) == 12
    left["answers"] = [item.answer for item in left["questions"]]
    [score] = ["".join(cell["source"]) for cell in book["cells"] if cell["id"] == "score"]
    exec(score, left)
    assert left["correct"].all()


def load_script(name):
    import importlib.util

    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
