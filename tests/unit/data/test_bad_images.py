"""Images that cannot be used are found once, left out with all their rows, and listed; nothing takes their place."""

import os
from pathlib import Path

import pytest
from PIL import Image

from panollava.data import bad_images
from panollava.data.bad_images import ImageChecks, left_after_skipping, rows_named
from panollava.data.images import ImageOptions, open_panorama
from panollava.data.manifest import Sample, group_by_image
from panollava.errors import DataError

OPTIONS = ImageOptions()


def photo(path: Path, *, size: tuple[int, int] = (64, 32), cut: int | None = None) -> Path:
    Image.effect_noise(size, 60).convert("RGB").save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:cut])
    return path


def samples(*paths: Path, each: int = 2) -> list[Sample]:
    rows = [(path, row) for row, path in enumerate((p for p in paths for _ in range(each)), start=2)]
    return [Sample(path, "q", "a", "open", f"m:{row}", path.name, "m.csv", row) for path, row in rows]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the files that are opened, as they are."""
    names: list[str] = []
    real = bad_images.open_with_options

    def count(path: Path, **options: object) -> object:
        names.append(path.name)
        return real(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(bad_images, "open_with_options", count)
    return names


@pytest.fixture
def folder(tmp_path: Path) -> list[Path]:
    """Return ten panoramas, of which the 3rd is cut, the 5th not 2:1, the 7th no image and the 9th not there."""
    paths = [photo(tmp_path / f"{k}.jpg") for k in range(10)]
    photo(paths[2], cut=700)
    photo(paths[4], size=(64, 64))
    paths[6].write_text("<html>404</html>")
    paths[8].unlink()
    return paths


def test_bad_images_are_left_out_with_all_their_rows(folder: list[Path], tmp_path: Path):
    checks = ImageChecks(tmp_path / "kept", options=OPTIONS)
    [left], skipped = left_after_skipping([samples(*folder)], checks=checks, max_fraction=0.4)
    assert [s.image.name for s in left] == [f"{k}.jpg" for k in (0, 1, 3, 5, 7, 9) for _ in range(2)]
    assert [(Path(one.image).name, one.source, one.rows) for one in skipped] == [
        (f"{k}.jpg", "m.csv", (2 + 2 * k, 3 + 2 * k)) for k in (2, 4, 6, 8)
    ]
    words = ("truncated or damaged", "twice as wide", "not a JPEG", "No such file")
    assert all(word in one.reason for word, one in zip(words, skipped, strict=True))


def test_sources_keep_their_own_and_one_image_in_two_is_one_panorama(folder: list[Path], tmp_path: Path):
    two = [samples(folder[0], folder[2]), samples(folder[2], folder[3])]
    checks = ImageChecks(tmp_path / "kept", options=OPTIONS)
    left, skipped = left_after_skipping(two, checks=checks, max_fraction=1 / 3)
    assert [[s.image.name for s in one] for one in left] == [["0.jpg"] * 2, ["3.jpg"] * 2]
    assert [one.rows for one in skipped] == [(4, 5, 2, 3)]  # of the same manifest, as the test writes it


def test_more_than_the_limit_is_an_error_that_names_the_first_five(tmp_path: Path):
    paths = [photo(tmp_path / f"{k}.jpg", cut=300 if k < 7 else None) for k in range(100)]
    checks = ImageChecks(tmp_path / "kept", options=OPTIONS)
    assert len(left_after_skipping([samples(*paths)], checks=checks, max_fraction=0.07)[1]) == 7
    with pytest.raises(DataError) as caught:
        left_after_skipping([samples(*paths)], checks=checks, max_fraction=0.069)
    lines = str(caught.value).splitlines()
    assert lines[0] == "7 of 100 panoramas (7.0%) cannot be used, more than data.max_bad_fraction=0.069:"
    assert [f"m.csv, row {2 + 2 * k} and 1 more: {paths[k]}: the image is truncated" in lines[1 + k] for k in range(5)]
    assert lines[6].strip() == "... and 2 more"


def test_a_file_is_opened_once_while_it_is_the_same(folder: list[Path], tmp_path: Path, opened: list[str]):
    first = ImageChecks(tmp_path / "kept", options=OPTIONS).reasons(folder)
    assert sorted(opened) == [f"{k}.jpg" for k in range(10)]
    opened.clear()
    assert ImageChecks(tmp_path / "kept", options=OPTIONS).reasons(folder) == first
    assert opened == ["8.jpg"]  # a file that is not there has no state to be known by
    opened.clear()
    photo(folder[2], size=(128, 64))
    again = ImageChecks(tmp_path / "kept", options=OPTIONS).reasons(folder[2:3])
    assert (opened, again) == (["2.jpg"], [None])


def test_other_options_are_asked_for_anew(folder: list[Path], tmp_path: Path):
    assert ImageChecks(tmp_path / "kept", options=OPTIONS).reasons(folder[4:5]) != [None]
    assert ImageChecks(tmp_path / "kept", options=ImageOptions(assume_full=True)).reasons(folder[4:5]) == [None]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_asked_for_again(folder: list[Path], tmp_path: Path):
    folder[0].chmod(0)
    [reason] = ImageChecks(tmp_path / "kept", options=OPTIONS).reasons(folder[:1])
    assert "Permission denied" in str(reason)
    folder[0].chmod(0o600)
    assert ImageChecks(tmp_path / "kept", options=OPTIONS).reasons(folder[:1]) == [None]


def test_a_disk_that_does_not_answer_leaves_no_verdict(
    folder: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fails(*_: object, **__: object) -> None:
        raise DataError("the image cannot be read (Input/output error)") from OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(bad_images, "open_with_options", fails)
        assert None not in ImageChecks(tmp_path / "kept", options=OPTIONS).reasons(folder[:2])
    assert ImageChecks(tmp_path / "kept", options=OPTIONS).reasons(folder[:2]) == [None, None]


def test_verdicts_that_a_kill_has_cut_are_made_again(folder: list[Path], tmp_path: Path, opened: list[str]):
    wanted = ImageChecks(tmp_path / "kept", options=OPTIONS).reasons(folder)
    [file] = (tmp_path / "kept").iterdir()
    whole = file.read_bytes()
    for cut in range(0, len(whole), 37):
        file.write_bytes(whole[:cut] + b'\xff["a", 1' * (cut % 2))
        assert ImageChecks(tmp_path / "kept", options=OPTIONS).reasons(folder) == wanted
        opened.clear()
        assert ImageChecks(tmp_path / "kept", options=OPTIONS).reasons(folder) == wanted
        assert opened == ["8.jpg"]


def test_an_error_about_an_image_is_given_its_row(folder: list[Path]):
    asked = group_by_image(samples(*folder))
    with pytest.raises(DataError, match=rf"^m\.csv, row 6: {folder[2]}: the image is truncated"), rows_named(asked):
        open_panorama(folder[2])
    with pytest.raises(DataError, match=r"^another"), rows_named(asked):
        raise DataError("another")


def test_the_log_tells_what_is_skipped(folder: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture):
    checks = ImageChecks(tmp_path / "kept", options=OPTIONS)
    with caplog.at_level("WARNING", logger="panollava"):
        left_after_skipping([samples(*folder)], checks=checks, max_fraction=0.5)
    assert "skipping 4 of 10 panoramas (8 rows)" in caplog.text
    assert f"m.csv, row 6 and 1 more: {folder[2]}: the image is truncated" in caplog.text
