"""A stand-in for the model hub: one small model over HTTP, with faults that can be switched on."""

import hashlib
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Serves the files of ``owner/model``; every request is counted.

    Args:
        files: Name -> content.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.requests: list[tuple[str, str]] = []
        self.fault: Callable[[BaseHTTPRequestHandler, str, str, int], bool] = lambda *_: False
        """Gets the request, its method, its path and how often that was asked before; true if it has answered."""
        self._lock = threading.Lock()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                hub.answer(self, "GET")

            def do_HEAD(self):
                hub.answer(self, "HEAD")

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def count(self, part: str) -> int:
        return sum(part in path for _, path in self.requests)

    def answer(self, request: BaseHTTPRequestHandler, method: str) -> None:
        path = request.path.partition("?")[0]
        with self._lock:
            before = self.requests.count((method, path))
            self.requests.append((method, path))
        if self.fault(request, method, path, before):
            return
        if path.startswith("/api/models/owner/model/tree/"):
            listed = [
                {"type": "file", "path": name, "size": len(data), "oid": etag(data)}
                for name, data in self.files.items()
            ]
            send(request, 200, json.dumps(listed).encode(), method=method)
        elif path.startswith("/api/models/owner/model"):
            if path.endswith("/revision/nowhere"):
                send(request, 404, b"{}", method=method, **{"X-Error-Code": "RevisionNotFound"})
                return
            about = {"id": "owner/model", "sha": COMMIT, "siblings": [{"rfilename": name} for name in self.files]}
            send(request, 200, json.dumps(about).encode(), method=method)
        elif path.startswith("/owner/model/resolve/"):
            name = path.split("/", 5)[5]
            data = self.files.get(name)
            if data is None:
                send(request, 404, b"", method=method, **{"X-Error-Code": "EntryNotFound"})
            else:
                send(request, 200, data, method=method, **{"ETag": f'"{etag(data)}"', "X-Repo-Commit": COMMIT})
        else:
            send(request, 404, b"{}", method=method, **{"X-Error-Code": "RepoNotFound"})


def send(request: BaseHTTPRequestHandler, status: int, data: bytes, *, method: str = "GET", **headers: str) -> None:
    """Answer a request whole."""
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(data)))
    request.end_headers()
    if method != "HEAD":
        request.wfile.write(data)


def send_half(request: BaseHTTPRequestHandler, data: bytes) -> None:
    """Promise a file, send half of it, and break the connection."""
    request.send_response(200)
    request.send_header("ETag", f'"{etag(data)}"')
    request.send_header("X-Repo-Commit", COMMIT)
    request.send_header("Content-Length", str(len(data)))
    request.end_headers()
    request.wfile.write(data[: len(data) // 2])
    request.wfile.flush()
    request.connection.close()
    request.close_connection = True


def send_slowly(request: BaseHTTPRequestHandler, data: bytes, *, pause_s: float) -> None:
    """Send a file in eight pieces with pauses."""
    request.send_response(200)
    request.send_header("ETag", f'"{etag(data)}"')
    request.send_header("X-Repo-Commit", COMMIT)
    request.send_header("Content-Length", str(len(data)))
    request.end_headers()
    step = max(1, len(data) // 8)
    for start in range(0, len(data), step):
        request.wfile.write(data[start : start + step])
        request.wfile.flush()
        time.sleep(pause_s)


def etag(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()
