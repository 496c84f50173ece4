"""A mark for tests that run the official Java tokenizer: skipped where jar or Java are absent."""

import pytest

from panollava.errors import MetricUnavailable
from panollava.metrics.java import find_java
from panollava.metrics.ptb_jar import find_jar


def reason_to_skip():
    try:
        find_jar()
        find_java()
    except MetricUnavailable as error:
        return str(error)
    return ""


needs_coco = pytest.mark.skipif(bool(reason_to_skip()), reason=f"the extra coco is absent: {reason_to_skip()}")
