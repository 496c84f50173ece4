"""Every command that a document prints exists, and takes the words that stand behind it."""

import importlib
import importlib.util
import re
import shlex
import sys
from pathlib import Path

import pytest

from panollava.cli.program import VERBS, _split, _verb_parser

from .documents import PAGES, README, ROOT, rows, shell_lines

MADE_BY_USERS = {"configs/mine.yaml", "configs/custom_lora_ablation.yaml"}
"""Files that the README tells how to make."""

COMMANDS = [(page.name, line) for page in PAGES for line in shell_lines(page)]
LINES = list(dict.fromkeys(line for _, line in COMMANDS))
SCRIPTS = {
    "check_env.py": "check-env",
    "select_model.py": "models",
    "quick_lora_train.py": "lora",
    "lora_ablation_study.py": "ablate",
    "scripts/train.py": "train",
    "workflow/runner.py": "run",
}


def makefile_targets() -> set[str]:
    text = (ROOT / "Makefile").read_text()
    return set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split())


def makefile_variables() -> set[str]:
    return set(re.findall(r"^(\w+)\s*\?=", (ROOT / "Makefile").read_text(), re.MULTILINE))


def check_verb(words: list[str]) -> None:
    """Parse the words with the verb's own parser; read the settings against the file that they change."""
    before, verb, after = _split(words)
    assert before == [] or verb == "", f"options before the verb: {words}"
    if verb == "":  # panollava --help
        return
    assert verb in VERBS, f"no verb '{verb}'"
    if verb not in VERBS or not after:
        return
    parser = _verb_parser(verb, importlib.import_module(f"panollava.cli.{VERBS[verb].module}"))
    args = parser.parse_intermixed_args(after)
    if getattr(args, "overrides", None):
        from panollava.config import load_config

        path = ROOT / (args.config or "configs/default.yaml")
        load_config(path if path.is_file() else ROOT / "configs/default.yaml", overrides=args.overrides)


def check_make(words: list[str]) -> None:
    targets = [word for word in words if "=" not in word]
    assert set(targets) <= makefile_targets()
    assert {word.split("=")[0] for word in words if "=" in word} <= makefile_variables()


def eval_script():
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        spec = importlib.util.spec_from_file_location("documented_eval", ROOT / "scripts" / "eval.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(ROOT / "scripts"))
    return module


def check_script(words: list[str]) -> None:
    script, *rest = words
    assert (ROOT / script).is_file()
    if script == "scripts/eval.py":
        if rest:
            check_verb(eval_script().choose_verb(rest))
    elif script in SCRIPTS:
        check_verb([*SCRIPTS[script].split(), *rest])
    elif script in ("benchmarks/synthetic.py", "benchmarks/metrics.py", "benchmarks/train.py", "benchmarks/infer.py"):
        assert all(word in (ROOT / script).read_text() for word in rest if word.startswith("--"))
    elif script == "benchmarks/geometry.py":
        assert all(f'"{word}"' in (ROOT / script).read_text() for word in rest)
    else:
        assert rest == []


def check(line: str) -> None:
    words = shlex.split(line)
    for word in words:
        if word.startswith("configs/") and word not in MADE_BY_USERS:
            assert (ROOT / word).is_file(), f"{word} does not exist"
    tool, rest = words[0], words[1:]
    if tool == "make":
        check_make(rest)
    elif tool == "panollava":
        check_verb(rest)
    elif tool == "python":
        check_script(rest)
    else:
        assert (ROOT / tool).stat().st_mode & 0o111, f"{tool} cannot be run"


def test_documents_print_commands():
    assert len(LINES) > 40
    assert {line.split()[0] for line in LINES} >= {"make", "panollava", "python", "./install_eval_metrics.sh"}


@pytest.mark.parametrize("line", LINES)
def test_command_exists(line):
    check(line)


@pytest.mark.parametrize(
    "line",
    [
        "make runn",
        "make run TORHC=torch",
        "panollava asc pano.jpg",
        "panollava views pano.jpg --layuot cubemap",
        "panollava run --config configs/tiny.yaml views.hfov=75",
        "panollava run --config configs/absent.yaml",
        "python scripts/evaluate.py",
        "python scripts/eval.py --csv x.csv",
        "python benchmarks/synthetic.py --blnd 3",
        "python benchmarks/metrics.py --quik",
        "python benchmarks/geometry.py veiws",
        "./absent.sh",
    ],
)
def test_a_wrong_command_would_be_found(line):
    with pytest.raises((AssertionError, SystemExit, OSError, ValueError)):
        check(line)


def test_the_table_of_verbs_is_the_programs():
    table = {row[0].strip("`").removeprefix("panollava "): row[1] for row in rows(README, "verb")}
    assert table == {name: verb.help for name, verb in VERBS.items()}


def test_every_documented_script_name_is_there():
    text = " ".join(row[0] for row in rows(README, "script"))
    for name in (*SCRIPTS, "setup_dev.py", "scripts/eval.py", "install_eval_metrics.sh"):
        assert name in text
        assert (ROOT / name).is_file()


def test_each_script_of_the_table_opens_the_verb_beside_it():
    for script, same in ((shlex.split(row[0].strip("`")), row[1].strip("`")) for row in rows(README, "script")):
        if script[0] != "python" or script[1] == "setup_dev.py":
            continue
        if script[1] == "scripts/eval.py":
            opened = eval_script().choose_verb(script[2:])
        else:
            opened = [*SCRIPTS[script[1]].split(), *script[2:]]
        assert shlex.split(same) == ["panollava", *opened]
        source = (ROOT / script[1]).read_text()
        assert script[1] == "scripts/eval.py" or f'"{opened[0]}"' in source


def test_root_is_the_repository():
    assert Path(README).parent == ROOT and (ROOT / "pyproject.toml").is_file()
