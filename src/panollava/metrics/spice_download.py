"""Fetch CoreNLP 3.6.0 for SPICE: one archive, resumed where it broke off, looked through, remembered by checksum.

The archive is where pycocoevalcap fetches it from, asked for over HTTPS. Its checksum is not known to this project:
see ``spice_models`` for what is checked instead.
"""

import http.client
import logging
import os
import shutil
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

from panollava.errors import MetricUnavailable
from panollava.metrics.spice_models import (
    CODE,
    CONTENTS,
    FOLDER_VARIABLE,
    INSTALL,
    MODELS,
    CoreNlp,
    check_jar,
    find_corenlp,
    installed_folder,
    remember,
    sha256_of,
)
from panollava.user_cache import cache_folder

logger = logging.getLogger(__name__)

URL = "https://nlp.stanford.edu/software/stanford-corenlp-full-2015-12-09.zip"
_CHUNK = 1 << 20
_TRIES = 5
_RESUMED, _WHOLE, _PAST_THE_END = 206, 200, 416
Progress = Callable[[int, int | None], None]


def install_corenlp(
    *, archive: Path | None = None, url: str = URL, timeout_s: float = 30.0, progress: Progress | None = None
) -> CoreNlp:
    """Put the two jars of CoreNLP into the cache folder of the user and return them; do nothing if they are there.

    Args:
        archive: the zip file, fetched by other means; None: fetch it.
        url: where from.
        timeout_s: seconds without a byte after which a connection is given up.
        progress: called with the bytes that are there, and with how many there will be, if the server says so.

    Raises:
        MetricUnavailable: The server cannot be reached, or the archive is not CoreNLP 3.6.0.
    """
    folder = installed_folder()
    if all((folder / name).is_file() for name in (CODE, MODELS)):
        return find_corenlp(folder)
    fetched = cache_folder() / f"{installed_folder().name}.zip"
    try:
        if archive is None:
            download(url, fetched, timeout_s=timeout_s, progress=progress)
            remember(url, sha256_of(fetched), where=cache_folder() / "corenlp-sha256.json")
        unpack(archive or fetched, folder)
    except OSError as error:
        raise MetricUnavailable(f"cannot write CoreNLP to {cache_folder()}: {error}. Set PANOLLAVA_CACHE.") from error
    fetched.unlink(missing_ok=True)
    return find_corenlp(folder)


def unpack(archive: Path, folder: Path) -> None:
    """Take the two jars out of the archive, whole or not at all.

    Raises:
        MetricUnavailable: The archive is damaged, or does not hold them.
    """
    aside = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    try:
        with zipfile.ZipFile(archive) as packed:
            members = {name.rpartition("/")[2]: name for name in packed.namelist()}
            if CODE not in members or MODELS not in members:
                raise MetricUnavailable(f"{archive} holds no {CODE} and {MODELS}. It must be CoreNLP 3.6.0 in full.")
            aside.mkdir(parents=True, exist_ok=True)
            for name in (CODE, MODELS):
                with packed.open(members[name]) as source, (aside / name).open("wb") as target:
                    shutil.copyfileobj(source, target, _CHUNK)  # compares the CRC of the entry at its end
                check_jar(aside / name, contents=CONTENTS[name])
        if folder.exists():
            shutil.rmtree(folder)
        aside.replace(folder)
    except zipfile.BadZipFile as error:
        raise MetricUnavailable(f"{archive} is damaged: {error}. Delete it and run '{INSTALL}' again.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def download(url: str, target: Path, *, timeout_s: float = 30.0, progress: Progress | None = None) -> None:
    """Fetch a file; what an earlier try left behind is continued if the server still has the same file.

    Raises:
        MetricUnavailable: No connection, or it broke off again and again; what is there is kept for the next try.
    """
    if target.is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part, tag = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.etag")
    fault: Exception | None = None
    for _ in range(_TRIES):
        before = part.stat().st_size if part.is_file() else 0
        try:
            if _fetch(url, part, tag, timeout_s=timeout_s, progress=progress):
                part.replace(target)
                tag.unlink(missing_ok=True)
                return
        except urllib.error.HTTPError as error:
            raise MetricUnavailable(_failed(url, f"the server answers {error.code} {error.reason}")) from error
        except (OSError, http.client.HTTPException) as error:
            fault = error
            if not part.is_file() or part.stat().st_size <= before:
                break
        logger.info("the connection broke off at %d bytes; going on from there", part.stat().st_size)
    raise MetricUnavailable(_failed(url, str(fault) if fault else "the connection broke off every time")) from fault


def _fetch(url: str, part: Path, tag: Path, *, timeout_s: float, progress: Progress | None) -> bool:
    """Append what is missing to the part; return whether it is whole now."""
    have = part.stat().st_size if part.is_file() and tag.is_file() else 0
    request = urllib.request.Request(url)
    if have:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", tag.read_text(encoding="utf-8"))
    try:
        answer = urllib.request.urlopen(request, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        if error.code == _PAST_THE_END and have:  # nothing is missing, or the file is another one: start again
            tag.unlink(missing_ok=True)
            return False
        raise
    with answer:
        if answer.status == _WHOLE:
            have = 0
        mark = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
        if mark and not mark.startswith("W/"):
            tag.write_text(mark, encoding="utf-8")
        else:
            tag.unlink(missing_ok=True)
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        with part.open("ab" if have else "wb") as file:
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                have += len(chunk)
                if progress is not None:
                    progress(have, total)
    return total is None or have == total


def _failed(url: str, why: str) -> str:
    return (
        f"CoreNLP cannot be fetched from {url}: {why}. What is there already is kept; run '{INSTALL}' again to go on."
        f" On a machine without a network, fetch that file elsewhere and run '{INSTALL} --archive FILE', or unpack it"
        f" and name the folder of its jars in {FOLDER_VARIABLE}."
    )
