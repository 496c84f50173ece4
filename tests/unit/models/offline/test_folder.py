"""A folder of the cache is whole or absent."""

import pytest

from panollava.models.offline.folder import made_once, model_folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PANOLLAVA_CACHE", str(tmp_path))
    return tmp_path


def test_it_is_made_once():
    calls = []

    def make(folder):
        calls.append(folder)
        (folder / "config.json").write_text("{}")

    first = made_once("toy", make)
    assert first == made_once("toy", make) == model_folder("toy")
    assert len(calls) == 1 and (first / "config.json").read_text() == "{}"


def test_what_broke_off_leaves_nothing(cache):
    def make(folder):
        (folder / "config.json").write_text("{")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        made_once("toy", make)
    assert list((cache / "models").iterdir()) == []


def test_the_faster_of_two_processes_wins(cache):
    def make(folder):
        rival = model_folder("toy")
        rival.mkdir()
        (rival / "config.json").write_text("theirs")
        (folder / "config.json").write_text("ours")

    assert (made_once("toy", make) / "config.json").read_text() == "theirs"
    assert [path.name for path in (cache / "models").iterdir()] == ["toy"]
