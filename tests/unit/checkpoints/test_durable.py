"""Written aside, brought to the disk, named in one step: at every moment the name leads to something whole."""

import errno
import os
from pathlib import Path

import pytest

from panollava.checkpoints import durable
from panollava.errors import CheckpointError


def write(folder: Path, text: str) -> None:
    with durable.replacing(folder, needs=10) as aside:
        (aside / "a.txt").write_text(text)
        (aside / "b.txt").write_text(text)


def content(folder: Path) -> set[str]:
    return {file.read_text() for file in folder.iterdir()}


@pytest.fixture(params=[True, False], ids=["one step", "two renames"])
def way(request, monkeypatch):
    """Both ways to take a name: in one call of the system, and where there is none."""
    if not request.param:
        monkeypatch.setattr(durable, "_exchange", lambda *_: False)
    return request.param


def test_a_folder_of_the_same_name_is_replaced(tmp_path, way):
    for text in ("old", "new", "newer"):
        write(tmp_path / "run" / "last", text)
        assert content(tmp_path / "run" / "last") == {text}
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["last"]


def test_this_system_changes_names_in_one_step(tmp_path):
    """Otherwise the tests above and below prove less than they seem to."""
    if not Path("/proc/version").exists():
        pytest.skip("the call is Linux's")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(name)
    if not durable._exchange(tmp_path / "one", tmp_path / "two"):
        pytest.skip("this file system has no exchange of names")
    assert content(tmp_path / "one") == {"two"} and content(tmp_path / "two") == {"one"}


def test_a_failed_exchange_is_an_error(tmp_path):
    (tmp_path / "one").mkdir()
    if not durable._exchange(tmp_path / "one", tmp_path / "one"):
        pytest.skip("this file system has no exchange of names")
    with pytest.raises(FileNotFoundError):
        durable._exchange(tmp_path / "one", tmp_path / "absent")


def moments(monkeypatch, *, die: int) -> list[str]:
    """Be dead from the moment of that number on: before or after each call that a durable write consists of."""
    seen: list[str] = []

    def step(what: str) -> None:
        seen.append(what)
        if len(seen) >= die:
            raise KeyboardInterrupt

    for owner, name in ((os, "fsync"), (Path, "rename"), (durable, "_exchange"), (durable.shutil, "rmtree")):
        original = getattr(owner, name)

        def fatal(*args, original=original, name=name, **kwargs):
            step(f"before {name}")
            result = original(*args, **kwargs)
            step(f"after {name}")
            return result

        monkeypatch.setattr(owner, name, fatal)
    return seen


def found(folder: Path) -> Path:
    """Where a reader looks: the name, or, if a crash came between two renames, the one that lost it."""
    return folder if folder.exists() else durable.replaced(folder)


def test_at_every_moment_there_is_something_whole(tmp_path, way):
    """Stopped before or after each fsync, rename and removal: old or new, never nothing, never a mixture."""
    ends = []
    for die in range(1, 100):
        folder = tmp_path / str(die) / "last"
        write(folder, "old")
        with pytest.MonkeyPatch.context() as patch:
            if not way:
                patch.setattr(durable, "_exchange", lambda *_: False)
            seen = moments(patch, die=die)
            try:
                write(folder, "new")
                done = True
            except KeyboardInterrupt:
                done = False
        assert content(found(folder)) in ({"old"}, {"new"})
        assert len(list(found(folder).iterdir())) == 2
        ends.append(content(found(folder)).pop())
        if way:
            assert folder.exists()
        write(folder, "after")
        assert content(folder) == {"after"} and [p.name for p in folder.parent.iterdir()] == ["last"]
        if done:
            break
    assert done and len(seen) < 60
    assert ends[0] == "old" and ends[-1] == "new" and ends == sorted(ends, reverse=True)


def test_every_file_and_both_folders_are_brought_to_the_disk(tmp_path, monkeypatch):
    synced = []
    original = durable._sync
    monkeypatch.setattr(durable, "_sync", lambda path: (synced.append(path), original(path)))
    write(tmp_path / "run" / "vision" / "last", "x")
    aside = tmp_path / "run" / "vision" / ".last.part"
    assert set(synced[:2]) == {aside / "a.txt", aside / "b.txt"}
    assert synced[2:] == [aside, tmp_path / "run" / "vision", tmp_path / "run", tmp_path]


def test_what_killed_processes_left_is_swept(tmp_path):
    write(tmp_path / "last", "whole")
    for name in (".step-000010.part", ".last.part", ".last.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").write_text("x")
    (tmp_path / ".best.old").mkdir()
    (tmp_path / ".best.old" / "a.txt").write_text("lost its name")
    (tmp_path / ".part").mkdir()
    (tmp_path / ".notes.part").write_text("a file of somebody")
    write(tmp_path / "step-000020", "new")
    assert {p.name for p in tmp_path.iterdir()} == {"last", "best", "step-000020", ".notes.part"}
    assert content(tmp_path / "best") == {"lost its name"}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EIO])
def test_a_disk_that_refuses_is_one_line_with_the_bytes(tmp_path, code):
    write(tmp_path / "last", "old")
    with pytest.raises(CheckpointError) as error, durable.replacing(tmp_path / "last", needs=12345) as aside:
        (aside / "half").write_text("x")
        raise OSError(code, os.strerror(code))
    text = str(error.value)
    assert "\n" not in text and "needs 12,345 bytes" in text and os.strerror(code) in text and "paths.runs" in text
    assert [p.name for p in tmp_path.iterdir()] == ["last"] and content(tmp_path / "last") == {"old"}


def test_too_little_space_is_seen_before_anything_is_written(tmp_path):
    said = r"it needs 9,000,000,000,000,000,000 bytes, and [\d,]+ are free"
    with pytest.raises(CheckpointError, match=said), durable.replacing(tmp_path / "run" / "last", needs=9 * 10**18):
        pytest.fail("was begun")
    assert not list((tmp_path / "run").iterdir())


@pytest.mark.parametrize("place", ["last", "run/last", "run/vision/last"])
def test_a_file_in_the_way_is_named(tmp_path, place):
    file = tmp_path / place.split("/")[0]
    file.write_text("a file of somebody")
    with pytest.raises(CheckpointError, match=f"{file.name}.*cannot be written .*(Not a directory|File exists)"):
        write(tmp_path / place, "new")
    assert file.read_text() == "a file of somebody"


def test_a_link_is_followed_not_replaced(tmp_path):
    write(tmp_path / "disk" / "last", "old")
    (tmp_path / "last").symlink_to(tmp_path / "disk" / "last")
    write(tmp_path / "last", "new")
    assert (tmp_path / "last").is_symlink() and content(tmp_path / "disk" / "last") == {"new"}


def test_an_interrupted_removal_leaves_nothing_under_the_name(tmp_path, monkeypatch):
    write(tmp_path / "step-000001", "x")

    def interrupted(path, **_):
        if path.exists():
            next(path.iterdir()).unlink()
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(durable.shutil, "rmtree", interrupted)
        durable.remove(tmp_path / "step-000001")
    assert not (tmp_path / "step-000001").exists()
    write(tmp_path / "last", "x")
    assert [p.name for p in tmp_path.iterdir()] == ["last"]


def test_what_cannot_be_removed_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"absent cannot be removed \(No such file"):
        durable.remove(tmp_path / "absent")
