"""The report tells which images were left out, of what, and why; where none were, it says nothing."""

from panollava.data.skipped import Skipped
from panollava.evaluation.report_skipped import SHOWN, skipped_rows

BAD = Skipped("photos/<b>.jpg", "the image is truncated & damaged", "train.csv", (2, 3, 4, 9))


def test_each_image_has_its_rows_and_its_reason():
    told = skipped_rows([("train", BAD), ("test", Skipped("c.jpg", "not 2:1", "test.csv", (5,)))])
    assert "1 panorama with 4 rows of training, 1 panorama with 1 row of test" in told
    assert "photos/&lt;b&gt;.jpg" in told and "truncated &amp; damaged" in told
    assert "2-4, 9" in told and "test.csv" in told and "not 2:1" in told


def test_a_long_list_is_cut_and_says_so():
    told = skipped_rows([("train", BAD)] * (SHOWN + 1))
    assert told.count("train.csv") == SHOWN
    assert f"The first {SHOWN} of {SHOWN + 1}; skipped.json beside this page lists them all." in told
