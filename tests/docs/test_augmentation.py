"""Every example of docs/augmentation.md is true, and its settings are settings."""

import doctest
import re
from pathlib import Path

import yaml

from panollava.config import build_config

PAGE = Path(__file__).parents[2] / "docs" / "augmentation.md"


def test_the_examples():
    # the closing fence is no output
    text = PAGE.read_text(encoding="utf-8")
    test = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    outcome = doctest.DocTestRunner().run(test)
    assert outcome.attempted > 12 and outcome.failed == 0


def test_the_settings():
    [block] = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    cfg = build_config(yaml.safe_load(block), origin=PAGE.name)
    assert cfg.data.augment.yaw == "columns" and cfg.data.augment.mirror == 0.5
