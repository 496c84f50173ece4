"""Build ``echo-engine.jar`` from ``EchoEngine.java``, both in ``src/panollava/metrics/spice_engine``.

Usage, from the repository root, with a ``javac`` of Java 9 or newer on PATH::

    python tools/build_spice_engine.py

The class file is of Java 8, the oldest that the SPICE program runs on. The jar holds the sha256 of its source, so
that a test sees a jar that was not built again after a change; times in it are fixed.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "src" / "panollava" / "metrics" / "spice_engine"
CLASS = "panollava/spice/EchoEngine"
SERVICE = "META-INF/services/javax.script.ScriptEngineFactory"
FIXED_TIME = (2020, 1, 1, 0, 0, 0)


def main() -> None:
    """Compile, pack, and say what came out."""
    source = FOLDER / "EchoEngine.java"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["javac", "--release", "8", "-Xlint:-options", "-g:none", "-d", folder, str(source)], check=True)
        code = (Path(folder) / f"{CLASS}.class").read_bytes()
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    entries = {
        "META-INF/MANIFEST.MF": f"Manifest-Version: 1.0\nSource-SHA256: \n {digest}\n\n".encode(),
        SERVICE: CLASS.replace("/", ".").encode() + b"\n",
        f"{CLASS}.class": code,
    }
    target = FOLDER / "echo-engine.jar"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as jar:
        for name, data in entries.items():
            jar.writestr(zipfile.ZipInfo(name, FIXED_TIME), data, zipfile.ZIP_DEFLATED)
    sys.stdout.write(f"{target}: {target.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
