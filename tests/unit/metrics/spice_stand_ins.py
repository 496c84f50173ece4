"""Stand-ins for what SPICE needs: Java (a script that scores by counting), the program's package, and CoreNLP."""

import sys
import zipfile
from pathlib import Path

from panollava.metrics.spice_models import CODE, CONTENTS, MODELS

COUNTING = """
import json, pathlib, sys
args = sys.argv[1:]
pathlib.Path(CALLS).open("a").write(json.dumps(args) + "\\n")
rows = json.loads(pathlib.Path("in.json").read_text(encoding="ascii"))
assert all(text.strip() for row in rows for text in [row["test"], *row["refs"]])
def f(row):
    test, refs = set(row["test"].split()), set(" ".join(row["refs"]).split())
    return 2 * len(test & refs) / (len(test) + len(refs))
out = [{"image_id": row["image_id"], "scores": {"All": {"f": f(row)}}} for row in rows]
pathlib.Path(args[args.index("-out") + 1]).write_text(json.dumps(out))
"""
"""A program that scores an item by the words it shares with its references, and writes its arguments down."""


def write_jar(path: Path, names: tuple[str, ...]) -> Path:
    """Write a zip file with an entry for each name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as jar:
        for name in names:
            jar.writestr(name, name)
    return path


def write_corenlp(folder: Path) -> Path:
    """Write two jars that look like CoreNLP 3.6.0 from outside."""
    for name in (CODE, MODELS):
        write_jar(folder / name, CONTENTS[name])
    return folder


def install_java(monkeypatch, root: Path, program: str) -> Path:
    """Put a Python program at JAVA_HOME/bin/java; return the file it may write its calls to."""
    java, calls = root / "home" / "bin" / "java", root / "calls"
    java.parent.mkdir(parents=True, exist_ok=True)
    java.write_text(f"#!{sys.executable}\nCALLS = {str(calls)!r}\n{program}\n", encoding="utf-8")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(root / "home"))
    return calls


def install_package(monkeypatch, root: Path) -> Path:
    """Make a package pycocoevalcap that holds a file for SPICE's program."""
    jar = write_jar(root / "site" / "pycocoevalcap" / "spice" / "spice-1.0.jar", ("edu/anu/spice/SpiceScorer.class",))
    monkeypatch.syspath_prepend(str(root / "site"))
    return jar
