"""Five hundred malformed images, tables and configurations, given to the commands that people type.

None may end in a traceback; each error names the file (or the word of the command line) that is wrong. A damaged file
that can still be read whole is no error: its pixels are held to a reference elsewhere (data/images/test_damage.py).
"""

import json
import random
import re
import resource
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from panollava.cli.program import main
from panollava.data.images import open_panorama
from panollava.data.manifest import read_manifest
from panollava.errors import DataError

SIZE = (64, 128)
SLOW_S = 30.0
"""A second is the aim and is reported; only a hang may fail on a busy machine."""


def fate(argv, capsys):
    """Run a command; return (status, what it said, seconds)."""
    started = time.monotonic()
    status = main(argv)
    said = capsys.readouterr()
    return status, said.out + said.err, time.monotonic() - started


def check(status, said, seconds, *, names, record_property):
    """Hold the outcome to: done, or one error that names its place; never a traceback, never a hang."""
    assert "Traceback" not in said and "Error:" not in said.split("error:")[0], said[-2000:]
    assert status in (0, 1, 2), said[-2000:]
    if status:
        assert any(name in said for name in names), f"names none of {names}: {said[-1500:]}"
        assert len(said.strip().splitlines()) <= 20, said
    assert seconds < SLOW_S
    record_property("malformed inputs", 1)
    record_property("of them under a second", seconds < 1.0)
    return status


# -- images ----------------------------------------------------------------------------------------------------------


def picture(draw):
    return Image.fromarray(np.random.default_rng(draw.randrange(2**32)).integers(0, 256, (*SIZE, 3), dtype=np.uint8))


def encoded(draw, folder):
    """Return the bytes of a healthy file and its suffix."""
    suffix, options = draw.choice(
        [(".jpg", {"quality": 90}), (".jpg", {"progressive": True}), (".png", {}), (".webp", {}), (".bmp", {}),
         (".tif", {"compression": "tiff_deflate"})]
    )  # fmt: skip
    path = folder / f"whole{suffix}"
    picture(draw).save(path, **options)
    return path.read_bytes(), suffix


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def bomb(width, height):
    """Return a tiny PNG that says it is huge."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000))


def truncated(draw, folder):
    data, suffix = encoded(draw, folder)
    return data[: draw.randrange(len(data))], suffix


def flipped(draw, folder):
    data, suffix = encoded(draw, folder)
    changed = bytearray(data)
    for _ in range(draw.choice((1, 3, 30))):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed), suffix


def no_image(draw, folder):
    bodies = (
        b"", b"\0" * 100, b"<!DOCTYPE html><html>404</html>", b"GIF89a", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n",
        b"II*\0", b"RIFF\0\0\0\0WEBP", b"#?RADIANCE\n", b"BM", bytes(draw.randrange(256) for _ in range(200)),
    )  # fmt: skip
    return draw.choice(bodies), draw.choice((".jpg", ".png", ".hdr", ".exr", ".txt", ""))


def odd_shape(draw, folder):
    shape = draw.choice([(1, 1), (1, 2), (3, 64), (64, 64), (200, 10)])
    path = folder / "odd.png"
    Image.fromarray(np.zeros((*shape, 3), np.uint8)).save(path)
    return path.read_bytes(), ".png"


def odd_pixels(draw, folder):
    kind = draw.choice(["I;16", "F", "CMYK", "LA", "RGBA", "1", "P", "LAB", "YCbCr"])
    path = folder / ("odd.jpg" if kind in ("CMYK", "YCbCr") else "odd.tif")
    if kind == "I;16":
        Image.fromarray(np.full(SIZE, 65535, np.uint16)).save(path)
    elif kind == "F":
        Image.fromarray(np.full(SIZE, draw.choice([np.nan, np.inf, 1e30, 0.5]), np.float32)).save(path)
    else:
        Image.new(kind, SIZE[::-1]).save(path)
    return path.read_bytes(), path.suffix


def broken_tags(draw, folder):
    path = folder / "tags.jpg"
    exif = bytes(draw.randrange(256) for _ in range(60))
    values = draw.choice(["-5", "nan", "1e400", "", "9999999999", "<!ENTITY"])
    space = "http://ns.google.com/photos/1.0/panorama/"
    xmp = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:GPano="{space}" GPano:FullPanoWidthPixels="{values}" GPano:CroppedAreaLeftPixels='
        f'"{draw.choice([values, "0", "7"])}" GPano:PosePitchDegrees="{draw.choice(["200", "nan", "x"])}"/></rdf:RDF>'
        "</x:xmpmeta>"
    )
    picture(draw).save(path, exif=b"Exif\0\0II*\0" + exif, xmp=xmp.encode())
    return path.read_bytes(), ".jpg"


def huge(draw, folder):
    return bomb(*draw.choice([(30000, 15000), (200000, 100000), (2**31 - 1, 2**30), (100000, 50000)])), ".png"


IMAGES = (truncated, truncated, flipped, flipped, no_image, odd_shape, odd_pixels, broken_tags, huge)


@pytest.mark.parametrize("number", range(200))
def test_images(tmp_path, capsys, number, record_property):
    draw = random.Random(number)
    data, suffix = IMAGES[number % len(IMAGES)](draw, tmp_path)
    path = tmp_path / f"panorama{suffix}"
    path.write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    argv = ["views", str(path), "--out", str(tmp_path / "out"), "--size-px", "32", "--no-global", "--layout", "e2p"]
    status = check(*fate(argv, capsys), names=[str(path)], record_property=record_property)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 300
    if status == 0:
        assert list((tmp_path / "out").iterdir())
        if IMAGES[number % len(IMAGES)] is truncated:  # nothing of the picture was in what is missing
            assert np.array_equal(open_panorama(path), open_panorama(tmp_path / f"whole{suffix}"))


# -- tables ----------------------------------------------------------------------------------------------------------

HEADS = ("url,query,annotation", "url,instruction,response", "image_path,original_query,prediction,reference")
CELLS = (
    "", "a.jpg", "../a.jpg", "/etc/passwd", "out/a.jpg", "a\0b", "\ud800", '"open', "x" * 200_000, "=cmd|' /C calc'!A0",
    "caf\u00e9", "\r", "nan", "-", "\u202e", "b.jpg", "http://127.0.0.1/a.jpg", "file:///etc/passwd", "what is behind?",
)  # fmt: skip


def table(draw):
    """Return the text of a damaged table."""
    head = draw.choice((*HEADS, "", "url", "url;query;annotation", "URL,URL,URL", "url,query,annotation,annotation"))
    width = draw.choice((1, 2, 3, 3, 3, 4, 7))
    rows = [",".join(draw.choice(CELLS) for _ in range(width)) for _ in range(draw.randrange(4))]
    return "\n".join([head, *rows]) + draw.choice(("", "\n", "\0"))


def as_bytes(draw, text):
    """Return it in some encoding, perhaps cut in the middle of a character."""
    encoding = draw.choice(("utf-8", "utf-16", "latin-1", "utf-8-sig"))
    data = text.encode(
        encoding, errors="replace" if encoding == "latin-1" else draw.choice(("replace", "surrogatepass"))
    )
    return data[: draw.randrange(len(data) + 1)] if draw.random() < 0.3 else data


def nested(draw):
    """Return damaged JSON."""
    return draw.choice([
        "[" * 100_000, "{}", "[]", "null", "[{}]", '[{"image": 5}]', '{"image": "a.jpg"}', "{'image': 'a.jpg'}",
        '[{"image": "a.jpg", "conversations": "no"}]', '[{"image": "a.jpg", "conversations": [{"from": "human"}]}]',
        '[{"image": ["a.jpg"], "query": "q", "answer": "a"}]', '{"image": "a.jpg", "query": "q", "answer": NaN}',
        '{"image": "a.jpg", "query": "q", "answer": "a"} trailing', '{"a":' * 5000 + "1" + "}" * 5000,
        json.dumps([{"image": "../../etc/passwd", "query": "q", "answer": "a"}]), "\ufeff", '"' + "x" * 100_000,
        '{"image": "a.jpg", "query": "q", "answer": 1e999}', '[{"image": "a.jpg", "image": "b.jpg"}]',
    ])  # fmt: skip


@pytest.mark.parametrize("number", range(150))
def test_tables(tmp_path, capsys, number, record_property):
    draw, kind = random.Random(10_000 + number), number % 3
    Image.new("RGB", SIZE[::-1]).save(tmp_path / "a.jpg")
    (tmp_path / "out").symlink_to("/etc")
    suffix = draw.choice((".csv", ".tsv")) if kind < 2 else draw.choice((".json", ".jsonl"))
    path = tmp_path / f"table{suffix}"
    path.write_bytes(as_bytes(draw, table(draw) if kind < 2 else nested(draw)))
    if kind == 0:
        argv = ["score", str(path), "--metrics", "bleu4", "--resamples", "0"]
        check(*fate(argv, capsys), names=[str(path)], record_property=record_property)
        return
    started = time.monotonic()
    try:
        samples = read_manifest(path)
        assert all(s.image.resolve() == (tmp_path / "a.jpg") for s in samples if not s.image.is_absolute())
        assert all(tmp_path in s.image.resolve().parents for s in samples), [s.image for s in samples]
    except DataError as error:
        assert re.match(rf"{re.escape(str(path))}, row \d+\b.*column", str(error)), error
        check(1, f"error: {error}", time.monotonic() - started, names=[str(path)], record_property=record_property)
    else:
        check(0, "", time.monotonic() - started, names=[], record_property=record_property)


# -- configurations and words ----------------------------------------------------------------------------------------

VALUES = (
    "x", "-1", "0", "1e400", ".nan", ".inf", "null", "[]", "{}", "[[[[]]]]", "true", "2**31", "999999999999999999999",
    "''", "\"\\0\"", "!!python/object/apply:os.system ['true']", "!!binary aGk=", "2026-01-01", "0x1F", "yes",
    "*nowhere",
)  # fmt: skip
KEYS = (
    "views.hfov_deg", "views.overlap", "lora.r", "lora.alpha", "data.workers", "data.train", "stages.finetune.lr",
    "stages.vision.max_steps", "trainer.precision", "experiment.name", "experiment.seed", "vision.model",
    "views.size_px", "evaluation.metrics", "generation.max_new_tokens", "data.images", "paths.runs",
    "resampler.kind", "position",
    "stages",
)  # fmt: skip
WHOLE = (
    "", "- a\n- b\n", "text", "a: b: c", "\t- x", "{", "base: nowhere.yaml\n", "base: [a]\n", "base: config.yaml\n",
    "!!python/object/apply:os.system ['true']\n", "a: &a [*a]\n", "views: {hfov_deg: 90}\nviews: {overlap: 0}\n",
    "1: 2\n", "? [a]\n: b\n", "--- 1\n--- 2\n", "\0", "experiment: &x {name: a}\nviews: *x\n", "lora: {r: 8,, }\n",
    "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
    "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n"
    "g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: &h [*g,*g,*g,*g,*g,*g,*g,*g,*g]\nviews: *h\n",
    "experiment: {name: ../../escape}\n", "[" * 2000 + "]" * 2000, "a:\n" + " " * 5000 + "b: 1\n", "\u2028: x\n",
)  # fmt: skip
WORDS = (
    ["run"], ["trian"], ["train", "--stage", "nowhere"], ["config", "check", "--set", "lora.r"], ["--nonsense"],
    ["config"],
    ["config", "check", "lora.r=x"], ["ask"], ["ask", "nowhere.jpg", "q", "--checkpoint", "nowhere"], ["views"],
    ["eval", "--checkpoint-dir", "nowhere"], ["score", "nowhere.csv"], ["ablate", "--config", "nowhere.yaml"],
    ["train", "--resume", "maybe"], ["checkpoints", "verify", "nowhere"], ["models", "--nonsense"], ["data", "synth"],
    ["config", "check", "=x"], ["config", "check", "a.b.c.d=1"], ["config", "check", "stages.9.epochs=1"],
)  # fmt: skip


@pytest.mark.parametrize("number", range(150))
def test_configurations(tmp_path, monkeypatch, capsys, number, record_property):
    monkeypatch.chdir(tmp_path)
    draw, kind = random.Random(20_000 + number), number % 4
    path = tmp_path / "config.yaml"
    if kind == 3 and number < 4 * len(WORDS):
        argv = WORDS[number // 4]
        names = [*argv, "usage", "configs/default.yaml"]
    elif kind == 2:
        path.write_text(WHOLE[number // 4 % len(WHOLE)], encoding="utf-8")
        argv = [*draw.choice((["config", "check"], ["train"], ["ablate", "--dry-run"])), "--config", str(path)]
        names = [str(path), path.name]
        if argv[0] == "train" and not path.read_text(encoding="utf-8").strip("\0"):
            argv = ["config", "check", "--config", str(path)]  # an empty file is the default experiment
    else:
        path.write_text("experiment: {name: a}\n", encoding="utf-8")
        key = draw.choice(KEYS) + ("x" if draw.random() < 0.2 else "")
        argv = ["config", "check", "--config", str(path), "--set", f"{key}={draw.choice(VALUES)}"]
        names = [key.split(".")[0]]
    check(*fate(argv, capsys), names=names, record_property=record_property)
    assert not (tmp_path.parent / "escape").exists()
