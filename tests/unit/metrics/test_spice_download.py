"""The download of CoreNLP, from a server on this machine that breaks off, changes its file, or is not there."""

import http.server
import io
import threading
import zipfile

import pytest

from panollava.cli.program import main
from panollava.errors import MetricUnavailable
from panollava.metrics.spice_download import download, install_corenlp
from panollava.metrics.spice_models import CODE, CONTENTS, MODELS, installed_folder

from .spice_stand_ins import install_java, install_package, write_corenlp


def archive(more="") -> bytes:
    """Return a zip file laid out like the original."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as packed:
        for name in (CODE, MODELS):
            jar = io.BytesIO()
            with zipfile.ZipFile(jar, "w") as inner:
                for entry in (*CONTENTS[name], "filler" + more):
                    inner.writestr(entry, entry * 2000)
            packed.writestr(f"stanford-corenlp-full-2015-12-09/{name}", jar.getvalue())
        packed.writestr("stanford-corenlp-full-2015-12-09/README.txt", "x")
    return data.getvalue()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves ``server.file`` with ranges; a connection ends after ``server.limit`` bytes of it."""

    def do_GET(self):
        site = self.server
        site.asked.append(self.headers.get("Range"))
        if site.status:
            self.send_error(site.status)
            return
        start = 0
        if self.headers.get("Range") and self.headers.get("If-Range") == site.etag:
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        if start and start >= len(site.file):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(site.file) - start))
        self.send_header("ETag", site.etag)
        self.end_headers()
        self.wfile.write(site.file[start : start + site.limit])

    def log_message(self, *args):
        pass


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setenv("PANOLLAVA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PANOLLAVA_CORENLP", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.file, server.etag, server.limit, server.status, server.asked = archive(), '"1"', 1 << 30, 0, []
        server.url = f"http://127.0.0.1:{server.server_port}/corenlp.zip"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_installs_two_jars_and_nothing_else_and_asks_only_once(site, tmp_path):
    corenlp = install_corenlp(url=site.url)
    assert sorted(path.name for path in corenlp.folder.iterdir()) == sorted([CODE, MODELS])
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["corenlp-3.6.0", "corenlp-sha256.json"]
    assert install_corenlp(url=site.url).sha256 == corenlp.sha256
    assert site.asked == [None]


def test_goes_on_where_the_connection_broke_off(site, tmp_path):
    site.limit = len(site.file) // 3 + 1
    seen = []
    download(site.url, tmp_path / "x.zip", progress=lambda have, total: seen.append((have, total)))
    assert (tmp_path / "x.zip").read_bytes() == site.file
    assert site.asked == [None, f"bytes={site.limit}-", f"bytes={2 * site.limit}-"]
    assert seen[-1] == (len(site.file), len(site.file))
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]


def test_a_later_run_goes_on_too_and_starts_again_when_the_file_is_another(site, tmp_path):
    target = tmp_path / "x.zip"
    site.limit = 10
    with pytest.raises(MetricUnavailable, match=r"kept; run 'panollava metrics install spice' again"):
        download(site.url, target)
    assert (tmp_path / "x.zip.part").stat().st_size == 50
    site.limit = 1 << 30
    site.file, site.etag = archive("other"), '"2"'
    download(site.url, target)
    assert target.read_bytes() == site.file
    assert site.asked[-1] == "bytes=50-"


def test_no_network_is_one_message_with_the_ways_out(site, tmp_path):
    site.shutdown()
    site.server_close()
    with pytest.raises(MetricUnavailable, match=r"(?s)cannot be fetched from .*--archive FILE.*PANOLLAVA_CORENLP"):
        install_corenlp(url=site.url)


def test_a_server_that_refuses_is_named(site):
    site.status = 404
    with pytest.raises(MetricUnavailable, match="the server answers 404"):
        install_corenlp(url=site.url)
    assert len(site.asked) == 1


@pytest.mark.parametrize(("data", "message"), [(b"<html>", "is damaged"), (None, "holds no stanford-corenlp-3.6.0")])
def test_what_is_not_corenlp_is_refused_and_nothing_is_installed(site, data, message):
    other = io.BytesIO()
    zipfile.ZipFile(other, "w").close()
    site.file = data or other.getvalue()
    with pytest.raises(MetricUnavailable, match=message):
        install_corenlp(url=site.url)
    assert not installed_folder().exists()


def test_one_flipped_byte_in_a_jar_is_noticed(site):
    broken = bytearray(site.file)
    broken[len(broken) // 2] ^= 1
    site.file = bytes(broken)
    with pytest.raises(MetricUnavailable, match="is damaged"):
        install_corenlp(url=site.url)


def test_another_archive_at_the_same_address_is_refused_later(site):
    folder = install_corenlp(url=site.url).folder
    for path in folder.iterdir():
        path.unlink()
    site.file = archive("other")
    with pytest.raises(MetricUnavailable, match=r"127\.0\.0\.1.* has the sha256 .* the file was changed"):
        install_corenlp(url=site.url)


def test_an_archive_fetched_by_other_means_stays_where_it_is(site, tmp_path):
    mine = tmp_path / "mine.zip"
    mine.write_bytes(site.file)
    install_corenlp(archive=mine)
    assert mine.exists() and site.asked == []


def test_the_command_says_where_and_what(site, tmp_path, monkeypatch, capsys):
    install_java(monkeypatch, tmp_path, "")
    install_package(monkeypatch, tmp_path)
    assert main(["metrics", "install", "spice", "--url", site.url]) == 0
    assert f"{MODELS}  sha256 " in capsys.readouterr().out
    write_corenlp(tmp_path / "other")
    assert main(["metrics", "install", "spice", "--archive", str(tmp_path)]) == 0  # there already


def test_the_command_fails_in_one_message(site, tmp_path, monkeypatch, capsys):
    install_java(monkeypatch, tmp_path, "")
    install_package(monkeypatch, tmp_path)
    site.status = 503
    assert main(["metrics", "install", "spice", "--url", site.url]) == 1
    assert "the server answers 503" in capsys.readouterr().err
