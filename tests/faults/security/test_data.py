"""Manifests, images, kept features and answers of somebody else."""

import json
import os
import shutil
import tracemalloc
import zlib
from pathlib import Path

import pytest

from panollava.data.feature_shards import FeatureShards
from panollava.data.images import open_panorama
from panollava.data.manifest import read_manifest
from panollava.errors import DataError
from panollava.evaluation.report import write_report
from panollava.workflow import EvaluationRunner


@pytest.mark.parametrize(
    "cell",
    [
        "../secret.png",
        "a/../../secret.png",
        "./../images/../secret.png",
        "file://{secret}",
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data",
        "ftp://localhost/a.png",
        "link.png",
        "folder/secret.png",
        "..%2fsecret.png",
        "..\\secret.png",
        "| mkdir {marker}",
        "a.png\0.jpg",
    ],
)
def test_a_row_that_names_a_file_elsewhere(tmp_path, marker, hostile, cell):
    images, secret = tmp_path / "images", tmp_path / "secret.png"
    images.mkdir()
    secret.write_bytes(hostile.png(64, 32))
    (images / "link.png").symlink_to(secret)
    (images / "folder").symlink_to(tmp_path)
    file = images / "questions.jsonl"
    row = {"image": cell.format(secret=secret, marker=marker), "query": "what?", "answer": "this"}
    file.write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError) as error:
        read_manifest(file)
    assert str(file) in str(error.value) and "row 1" in str(error.value)


EXTERNAL, LAUGHS = '<!ENTITY e SYSTEM "file://{secret}">', "<!ENTITY a 'ha'><!ENTITY e '&a;&a;&a;&a;'>"


@pytest.mark.parametrize(
    "make",
    [
        lambda h, m: h.png(40_000, 20_000),
        lambda h, m: h.png(8, 4, chunks=((b"zTXt", b"Comment\0\0" + _packed(200 << 20)),)),
        lambda h, m: h.png(64, 32, chunks=(h.xmp(h.gpano(EXTERNAL.format(secret=m.parent / "secret.txt"))),)),
        lambda h, m: h.png(64, 32, chunks=(h.xmp(h.gpano(LAUGHS)),)),
        lambda h, m: h.pickled(m),
        lambda h, m: h.pickled(m, "torch"),
        lambda h, m: (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 32\n(" + os.fsencode(m) + b") (w) file closefile\n"
        ),
        lambda h, m: b"%PDF-1.4\n1 0 obj<</OpenAction<</S/Launch>>>>endobj",
        lambda h, m: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        lambda h, m: b"push graphic-context\nfill 'url(https://x\"|mkdir " + os.fsencode(m) + b"\")'\n",
    ],
    ids=["pixels", "text", "entity", "laughs", "pickle", "torch", "postscript", "pdf", "svg", "mvg"],
)
def test_a_hostile_image(tmp_path, marker, hostile, refused, make):
    (tmp_path / "secret.txt").write_text("S3CRET")
    file = tmp_path / "pano.png"
    file.write_bytes(make(hostile, marker))
    tracemalloc.start()
    with pytest.raises(DataError) as error:
        open_panorama(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 80 << 20, f"{peak >> 20} MiB were taken"
    assert "S3CRET" not in str(error.value)
    refused(error, file)


def _packed(size):
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()


@pytest.mark.parametrize("kind", ["plain", "torch"])
def test_features_that_are_a_pickle(tmp_path, marker, hostile, kind):
    folder, about = tmp_path / "features", {"encoder": "x"}
    FeatureShards(folder, about=about)
    (folder / "0123456789abcdef0123456789abcdef.safetensors").write_bytes(hostile.pickled(marker, kind))
    assert "key" not in FeatureShards(folder, about=about)


@pytest.fixture(scope="module")
def evaluated(three_stages, tmp_path_factory):
    """Return the folder of a run with scores."""
    run = Path(shutil.copytree(three_stages.run_dir, tmp_path_factory.mktemp("evaluated") / "run"))
    EvaluationRunner(three_stages.cfg).run(checkpoint_dir=run, out_dir=run)
    return run


@pytest.mark.parametrize("text", ["<script>window.x=1</script>", "<img src=x onerror=alert(1)>", "</style><script>"])
def test_an_answer_that_is_markup_is_text_in_the_report(evaluated, tmp_path, marker, hostile, text):
    run = Path(shutil.copytree(evaluated, tmp_path / "run"))
    line = '"' + text.replace('"', '""') + '"'
    picture = tmp_path / "a.png"
    picture.write_bytes(hostile.png(64, 32))
    (run / "predictions.csv").write_text(
        f"image_path,original_query,prediction,reference\n{picture},{line},{line},{line}\n"
    )
    html = Path(write_report(run)).read_text()
    assert text not in html and text.replace("<", "&lt;").replace(">", "&gt;") in html
