"""``panollava check-env``: the hub, Java and fonts, which some features need."""

import os
import shutil
import urllib.error
import urllib.request
from pathlib import Path

from panollava.cli.check_row import Check, output_of, python_says

HUB_S, JAVA_S, FONTS_S = 5.0, 15.0, 90.0
_KOREAN = 0xAC00
"""The first Hangul syllable."""

_FONTS = f"""
import json
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font
found = []
for entry in font_manager.fontManager.ttflist:
    if "Last Resort" in entry.name:  # has a box for every character
        continue
    try:
        if {_KOREAN} in FT2Font(entry.fname).get_charmap():
            found.append(entry.name)
            break
    except (OSError, RuntimeError):
        pass
print(json.dumps([len(font_manager.fontManager.ttflist), *found]))
"""


def extras() -> list[Check]:
    """Ask the hub, and look for Java and fonts."""
    return [check_hub(), check_java(), check_fonts()]


def check_hub(*, limit_s: float = HUB_S) -> Check:
    """Ask the model hub for an answer, unless HF_HUB_OFFLINE says not to."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        if os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE"):
            return Check("model hub", f"not asked: {name} is set", "", "note", f"unset {name} to fetch models")
    from huggingface_hub import constants

    address = constants.ENDPOINT
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=limit_s):
            return Check("model hub", f"{address} answers")
    except urllib.error.HTTPError:  # an answer, too
        return Check("model hub", f"{address} answers")
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", error)
        fix = "models from the cache and local folders work; else set HTTPS_PROXY, or HF_ENDPOINT to a mirror"
        return Check("model hub", f"no answer from {address}: {str(why)[:80]}", "", "warning", fix)


def check_java() -> Check:
    """Look for Java, which SPICE and COCO's tokenizer are programs of."""
    from panollava.errors import MetricUnavailable
    from panollava.metrics.java import find_java

    use = "spice, tokenizer ptb"
    try:
        java = find_java()
    except MetricUnavailable as error:
        wrong_home = bool(os.environ.get("JAVA_HOME"))
        fix = "correct or unset JAVA_HOME" if wrong_home else "pip install 'panollava[spice]', if you want these"
        return Check("Java", str(error).split(".")[0], use, "warning" if wrong_home else "note", fix)
    said = output_of([str(java), "-version"], limit_s=JAVA_S)
    if said is None:
        return Check("Java", f"{java} does not run", use, "warning", "install another one, or set JAVA_HOME to it")
    return Check("Java", f"{said.splitlines()[0]} ({java})", use)


def check_fonts() -> Check:
    """Look for a font with Hangul among those that the plots are drawn with."""
    said, wrong = python_says(_FONTS, limit_s=FONTS_S)
    if said is None:
        return Check("fonts", wrong, "plots", "warning", "pip install --force-reinstall matplotlib")
    count, *korean = said
    if korean:
        return Check("fonts", f"{count}, Korean in {korean[0]}", "Korean in plots")
    where = Path("~/.local/share/fonts").expanduser()
    tool = " and run fc-cache" if shutil.which("fc-cache") else ""
    fix = f"put NanumGothic.ttf or NotoSansCJK into {where}{tool}, if your questions are Korean"
    return Check("fonts", f"{count}, none with Korean", "Korean in plots", "note", fix)
