"""Predictions survive the way to disk and back, or the old file stays."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panollava.data.manifest import Sample, read_manifest
from panollava.data.writers import write_predictions_csv
from panollava.errors import DataError

SAMPLE = Sample(Path("sub/a.jpg"), "What?", "A door.", "count", "m:2", "sub/a.jpg", "m.csv", 2, "A wall.")
HEADING = "image_path,original_query,prediction,reference,kind,sample_id"


def test_the_file_has_the_documented_columns(tmp_path: Path):
    path = tmp_path / "new" / "predictions.csv"
    write_predictions_csv(path, [SAMPLE, replace(SAMPLE, prediction="", answer=None, sample_id="m:3")])
    assert path.read_bytes().decode() == (
        f"{HEADING}\nsub/a.jpg,What?,A wall.,A door.,count,m:2\nsub/a.jpg,What?,,,count,m:3\n"
    )
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@settings(max_examples=100, deadline=None)
@given(prediction=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30))
def test_any_prediction_reads_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, prediction: str):
    path = tmp_path_factory.getbasetemp() / "predictions.csv"
    write_predictions_csv(path, [replace(SAMPLE, prediction=prediction)])
    [sample] = read_manifest(path, check_images=False)
    assert sample == replace(SAMPLE, prediction=prediction, image=path.parent / SAMPLE.image, source=str(path), row=2)


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    path = tmp_path / "predictions.csv"
    path.write_text("old")

    def rows() -> Iterator[Sample]:
        yield SAMPLE
        yield replace(SAMPLE, prediction=None)

    with pytest.raises(DataError, match="sample 'm:2' has no prediction"):
        write_predictions_csv(path, rows())
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_text_that_is_not_unicode_names_sample_and_column(tmp_path: Path):
    with pytest.raises(DataError, match="sample 'm:2', column 'prediction': half a surrogate pair"):
        write_predictions_csv(tmp_path / "p.csv", [replace(SAMPLE, prediction="\ud800")])


def test_a_folder_that_is_a_file_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"p\.csv: the predictions cannot be written"):
        write_predictions_csv(tmp_path / "file" / "p.csv", [SAMPLE])


def test_likelihoods_have_columns_of_their_own_that_the_scorer_reads(tmp_path):
    from panollava.metrics.predictions import read_predictions

    path = tmp_path / "p.csv"
    write_predictions_csv(path, [SAMPLE, replace(SAMPLE, sample_id="m:3")], likelihood=[(1.23456, 3), (0.5, 1)])
    assert path.read_text(encoding="utf-8").splitlines()[0].endswith(",sample_id,nll,tokens")
    assert read_predictions(path).cells == {"nll": ("1.2346", "0.5000"), "tokens": ("3", "1")}
    with pytest.raises(ValueError, match="shorter"):
        write_predictions_csv(path, [SAMPLE, SAMPLE], likelihood=[(1.0, 1)])
