"""A manifest vouches for every file and for itself, and cannot lead out of its folder."""

import hashlib
import json
import os

import pytest

from panollava.checkpoints.manifest import MANIFEST, META, Contents, write_manifest
from panollava.errors import CheckpointError


@pytest.fixture
def folder(tmp_path):
    """Return a folder with two files and their manifest."""
    place = tmp_path / "last"
    place.mkdir()
    (place / META).write_text('{"format": 2}')
    (place / "a.safetensors").write_bytes(b"weights")
    write_manifest(place)
    return place


def damaged(folder, match):
    with pytest.raises(CheckpointError, match=match) as error:
        Contents.open(folder).check()
    assert str(folder) in str(error.value)


def test_what_is_listed_is_read_and_nothing_else(folder):
    contents = Contents.open(folder)
    contents.check()
    assert set(contents.files) == {META, "a.safetensors"} and contents.format == 2
    assert contents.read("a.safetensors") == b"weights"
    (folder / "model.pkl").write_bytes(b"anything")
    Contents.open(folder).check()
    with pytest.raises(CheckpointError, match=r"manifest.json does not list model.pkl"):
        contents.read("model.pkl")


def named(folder, name):
    """Whether damage is found and its file named; for thousands of times quicker than ``pytest.raises``."""
    try:
        Contents.open(folder).check()
    except CheckpointError as error:
        return name in str(error)
    return False


def test_every_bit_of_every_file_counts(folder):
    """All of them: 8 bits of each byte, the manifest's own and its spaces included."""
    flips = 0
    for file in sorted(folder.iterdir()):
        with file.open("r+b", buffering=0) as stream:
            for place, byte in enumerate(file.read_bytes()):
                for changed in (byte ^ 1 << bit for bit in range(8)):
                    os.pwrite(stream.fileno(), bytes([changed]), place)
                    flips += named(folder, file.name)
                os.pwrite(stream.fileno(), bytes([byte]), place)
    Contents.open(folder).check()
    assert flips == 8 * sum(file.stat().st_size for file in folder.iterdir())


def test_every_truncation_counts(folder):
    for file in sorted(folder.iterdir()):
        whole = file.read_bytes()
        for length in range(len(whole)):
            file.write_bytes(whole[:length])
            damaged(folder, file.name)
        file.write_bytes(whole + b"\n")
        damaged(folder, file.name)
        file.write_bytes(whole)


@pytest.mark.parametrize("name", [MANIFEST, META, "a.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    damaged(folder, f"last is damaged: {name} is missing")


def test_a_size_is_told_with_the_one_that_was_written(folder):
    (folder / "a.safetensors").write_bytes(b"weigh")
    with pytest.raises(CheckpointError, match=r"a.safetensors has changed since it was written \(5 bytes, not 7\)"):
        Contents.open(folder).check_sizes()
    (folder / "a.safetensors").write_bytes(b"weighty")
    Contents.open(folder).check_sizes()  # which is why it says no more than it does


def rewritten(folder, files):
    """Write a manifest whose own hash is right, of whatever files."""
    tree = {"files": files, "format": 2}
    own = hashlib.sha256(json.dumps(tree, indent=1).encode()).hexdigest()
    (folder / MANIFEST).write_text(json.dumps({**tree, "sha256": own}, indent=1))


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "a/b", "..", ".", "", ".hidden", "a\\b", "a\nb", "x" * 101, MANIFEST]
)
@pytest.mark.parametrize("version", [1, 2])
def test_a_name_that_is_no_plain_one_is_refused(folder, name, version):
    (folder.parent / "x").write_bytes(b"outside")
    digest = hashlib.sha256(b"outside").hexdigest()
    table = json.loads((folder / MANIFEST).read_text())["files"]
    if version == 2:
        rewritten(folder, {**table, name: {"bytes": 7, "sha256": digest}})
    else:
        sums = {known: entry["sha256"] for known, entry in table.items()}
        (folder / MANIFEST).write_text(json.dumps({**sums, name: digest}))
    damaged(folder, "manifest.json lists .* which is no plain name")


@pytest.mark.parametrize("inside", [True, False])
def test_a_link_is_refused_wherever_it_leads(folder, inside):
    place = folder if inside else folder.parent
    (folder / "a.safetensors").rename(place / "elsewhere")
    (folder / "a.safetensors").symlink_to(place / "elsewhere")
    damaged(folder, "a.safetensors is a link")


def test_a_folder_and_a_pipe_are_refused_at_once(folder):
    (folder / "a.safetensors").unlink()
    os.mkfifo(folder / "a.safetensors")
    damaged(folder, "a.safetensors is no plain file")
    (folder / "a.safetensors").unlink()
    (folder / "a.safetensors").mkdir()
    damaged(folder, r"a.safetensors (is no plain file|cannot be read)")


def test_a_file_that_cannot_be_read_is_named_with_the_reason(folder, monkeypatch):
    original = os.open

    def refused(path, *args, **kwargs):
        if str(path).endswith("a.safetensors"):
            raise PermissionError(13, "Permission denied")
        return original(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refused)
    damaged(folder, r"a.safetensors cannot be read \(Permission denied\)")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"format": 2, "format": 2}', "a key stands twice"),
        ("[" * 100_000, "is no JSON"),
        ('{"format": ' + "9" * 10_000 + "}", "is no JSON"),
        ("\x00", "is no JSON"),
        ("[]", "is no table"),
        ("{}", "does not list meta.json"),
        ('{"format": 2}', "lists no files"),
        ('{"format": 2, "files": {"meta.json": "0"}}', "has no size for 'meta.json'"),
        ('{"format": 2, "files": {"meta.json": {"bytes": 1, "sha256": 5}}}', "holds '5' where a sha256"),
        ('{"meta.json": "../../x"}', "holds '../../x' where a sha256"),
        ('{"format": "2", "files": {}}', "has changed"),
    ],
)
def test_what_is_no_manifest_is_damage(folder, text, said):
    (folder / MANIFEST).write_text(text)
    damaged(folder, f"last is damaged: manifest.json .*({said})")


def test_a_later_format_is_named(folder):
    (folder / MANIFEST).write_text('{"format": 3, "chunks": []}')
    damaged(folder, r"last has format 3 \(manifest.json\); this version reads formats 1 and 2")


@pytest.mark.parametrize("name", [MANIFEST, META])
def test_a_huge_json_is_refused_before_it_is_read(folder, name):
    files = json.loads((folder / MANIFEST).read_text())["files"]
    rewritten(folder, {**files, META: {**files[META], "bytes": 10**12}})
    with (folder / name).open("ab") as stream:
        stream.truncate(10**12)  # a hole: no bytes on the disk
    with pytest.raises(CheckpointError, match=f"{name} is larger than 67,108,864 bytes, which no {name} is"):
        Contents.open(folder).read(META)


def test_a_file_that_has_grown_is_refused_before_it_is_read(folder):
    with (folder / "a.safetensors").open("ab") as stream:
        stream.truncate(10**12)
    with pytest.raises(CheckpointError, match=r"\(1,000,000,000,000 bytes, not 7\)"):
        Contents.open(folder).read("a.safetensors")
    damaged(folder, r"\(1,000,000,000,000 bytes, not 7\)")


def test_the_whole_file_of_another_checkpoint_is_no_substitute(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / META).write_text('{"format": 1}')
    write_manifest(other)
    (folder / META).write_bytes((other / META).read_bytes())
    damaged(folder, "meta.json has changed")
    (folder / MANIFEST).write_bytes((other / MANIFEST).read_bytes())
    Contents.open(folder).check()
    assert set(Contents.open(folder).files) == {META}  # what it does not list does not exist
