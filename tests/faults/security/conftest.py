"""What the tests of hostile input share: files that make a marker file, if anything runs what is in them."""

import hashlib
import io
import json
import os
import pickle
import shutil
import struct
import zipfile
import zlib
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch


class Payload:
    """Makes the marker where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def pickled(marker: Path, kind: str = "plain") -> bytes:
    """Return a pickle that makes the marker: bare, or in one of the containers that torch writes."""
    payload, out = {"weight": Payload(marker)}, io.BytesIO()
    if kind == "plain":
        return pickle.dumps(payload)
    if kind == "zip":
        with zipfile.ZipFile(out, "w") as packed:
            packed.writestr("archive/data.pkl", pickle.dumps(payload))
        return out.getvalue()
    torch.save(payload, out, _use_new_zipfile_serialization=kind == "torch")
    return out.getvalue()


def python(marker: Path) -> str:
    """Return a Python file that makes the marker when it is imported, or when any of its names is used."""
    return f"import os\nos.mkdir({str(marker)!r})\n\ndef score(predictions, references):\n    return 1.0\n"


def write_manifest(folder: Path, files: dict[str, dict[str, object]] | None = None) -> None:
    """Write a manifest that vouches for a folder as it is, or says what it is told."""
    if files is None:
        files = {
            f.name: {"bytes": f.stat().st_size, "sha256": hashlib.sha256(f.read_bytes()).hexdigest()}
            for f in sorted(folder.iterdir())
            if f.name != "manifest.json"
        }
    tree = {"files": dict(sorted(files.items())), "format": 2}
    own = hashlib.sha256(json.dumps(tree, indent=1).encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps({**tree, "sha256": own}, indent=1))


def png(width: int, height: int, *, chunks: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    """Return a grey PNG of black pixels, small whatever its size."""
    packer = zlib.compressobj(9)
    rows = bytes(1 + (width + 7) // 8)
    body = b"".join(packer.compress(rows) for _ in range(height)) + packer.flush()
    parts = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)), *chunks, (b"IDAT", body), (b"IEND", b""))
    framed = (struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def xmp(packet: str) -> tuple[bytes, bytes]:
    """Return the chunk of a PNG that holds an XMP packet."""
    return b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet.encode()


def gpano(entity: str, value: str = "&e;") -> str:
    """Return an XMP packet with a document type in front, whose entity stands in a field of a panorama."""
    return (
        f"<!DOCTYPE x [{entity}]>"
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:GPano="http://ns.google.com/photos/1.0/panorama/">'
        f"<GPano:ProjectionType>{value}</GPano:ProjectionType></rdf:Description></rdf:RDF></x:xmpmeta>"
    )


@pytest.fixture
def marker(tmp_path, record_property):
    """Return a place where a payload would write; it must not be there afterwards."""
    record_property("hostile input", 1)
    place = tmp_path / "MARKER"
    yield place
    assert not place.exists(), "the payload was run"


@pytest.fixture
def hostile():
    """Return the makers of hostile files."""
    return SimpleNamespace(pickled=pickled, python=python, write_manifest=write_manifest, png=png, xmp=xmp, gpano=gpano)


@pytest.fixture
def checkpoint(three_stages, tmp_path):
    """Return a copy of a good checkpoint in a folder of a run."""
    return Path(shutil.copytree(three_stages.checkpoint, tmp_path / "theirs" / "finetune" / "last"))


@pytest.fixture
def refused():
    """Return a check that an error is one line, and says where."""

    def check(error, *names):
        text = str(error.value)
        assert "\n" not in text.strip() and all(str(name) in text for name in names), text

    return check
