"""R11: the model hub is away, refuses, stumbles or breaks off; nothing half is ever used."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from tests.faults.hub_server import COMMIT, Hub, send, send_half, send_slowly

WEIGHTS = save({"weight": np.arange(40_000, dtype=np.float32)})
FILES = {
    "config.json": b'{"model_type": "qwen2"}',
    "model.safetensors": WEIGHTS,
    "tokenizer.json": b"{}",
    "pytorch_model.bin": b"a pickle",
    "original/model.safetensors": b"another copy",
    "modeling.py": b"raise SystemExit('this code ran')",
}
SCRIPT = """
import json, logging, sys
from panollava.errors import PanollavaError
from panollava.models import hub
from panollava.models.remote_code import CodeConsent
logging.basicConfig(level=logging.INFO, format="%(message)s")
hub.BACKOFF_S = 0.02
asked = json.loads(sys.argv[1])
try:
    files = hub.pretrained(asked["name"], key="language.model", revision=asked["revision"],
                           consent=CodeConsent(asked=asked["code"], foreign=asked["foreign"]))
    print(json.dumps({"revision": files.revision, "folder": str(files.folder), "code": files.code}))
except PanollavaError as error:
    print(json.dumps({"error": type(error).__name__, "message": str(error)}))
"""


@pytest.fixture
def hub(record_property):
    record_property("faults of the model hub", 1)
    server = Hub(dict(FILES))
    yield server
    server.close()


def ask(url, cache, *, name="owner/model", revision=None, code=False, foreign=False, prefix=(), **environment):
    """Ask for a model in a fresh process; return what became of it, with what was logged."""
    asked = json.dumps({"name": name, "revision": revision, "code": code, "foreign": foreign})
    done = subprocess.run(
        [*prefix, sys.executable, "-c", SCRIPT, asked],
        env={**os.environ, "HF_ENDPOINT": url, "HF_HOME": str(cache), "HF_HUB_OFFLINE": "0"}
        | {"HF_HUB_DOWNLOAD_TIMEOUT": "1", "HF_HUB_ETAG_TIMEOUT": "1", "HF_TOKEN": ""} | environment,
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout.splitlines()[-1]), "log": done.stderr}


def failing(status, part="", *, times=10**6, method=None, **headers):
    """Return a fault: this status for paths with a part in them, so many times each."""

    def fault(request, verb, path, before):
        if part not in path or before >= times or method not in (None, verb):
            return False
        send(request, status, b"{}", method=verb, **headers)
        return True

    return fault


def whole(answer):
    assert "error" not in answer, answer
    folder = Path(answer["folder"])
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert answer["revision"] == f"owner/model@{COMMIT}"
    return sorted(file.name for file in folder.iterdir())


def refused(answer, *said):
    assert answer.get("error") == "HubError", answer
    for text in said:
        assert text in answer["message"]
    return answer


def test_only_what_is_read_is_fetched_and_the_commit_is_logged(hub, tmp_path):
    answer = ask(hub.url, tmp_path)
    assert whole(answer) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert f"loading owner/model@{COMMIT}" in answer["log"]


def test_offline_a_cached_model_is_used_and_nothing_is_asked(hub, tmp_path):
    whole(ask(hub.url, tmp_path))
    hub.requests.clear()
    whole(ask(hub.url, tmp_path, HF_HUB_OFFLINE="1"))
    assert hub.requests == []


def test_offline_a_missing_model_is_named_with_the_command_that_fetches_it(hub, tmp_path):
    answer = ask(hub.url, tmp_path, HF_HUB_OFFLINE="1")
    refused(answer, "'owner/model'", "HF_HUB_OFFLINE is set", "hf download owner/model")
    assert hub.requests == []


def test_offline_a_half_fetched_model_is_not_used(hub, tmp_path):
    whole(ask(hub.url, tmp_path))
    (file,) = tmp_path.rglob("snapshots/*/model.safetensors")
    file.unlink()
    refused(ask(hub.url, tmp_path, HF_HUB_OFFLINE="1"), "not whole in the cache")


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_that_stumbles_twice_is_asked_a_third_time(hub, tmp_path, status):
    hub.fault = failing(status, "/revision/", times=2)
    whole(ask(hub.url, tmp_path))
    assert hub.count("/revision/") == 3


def test_a_server_that_is_down_is_asked_four_times(hub, tmp_path):
    hub.fault = failing(502)
    refused(ask(hub.url, tmp_path), "status 502", "Try again later", "hf download owner/model")
    assert hub.count("/revision/") == 4


def test_a_server_that_is_down_leaves_the_cached_copy_in_use(hub, tmp_path):
    whole(ask(hub.url, tmp_path))
    hub.fault = failing(503)
    whole(ask(hub.url, tmp_path))


def test_a_hub_that_is_not_there_leaves_the_cached_copy_in_use(hub, tmp_path):
    whole(ask(hub.url, tmp_path))
    hub.close()
    whole(ask(hub.url, tmp_path))


def test_a_hub_that_is_not_there_is_named(tmp_path, record_property):
    record_property("faults of the model hub", 1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    answer = refused(ask(url, tmp_path), "cannot be fetched", "hf download")
    assert answer["log"].count("trying again") == 3


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (401, {}, "refused by the hub (status 401)"),
        (403, {}, "refused by the hub (status 403)"),
        (403, {"X-Error-Code": "GatedRepo"}, "accept its licence"),
        (404, {"X-Error-Code": "RepoNotFound"}, "not on the hub, or it is private"),
    ],
)
def test_a_refusal_is_not_asked_again(hub, tmp_path, status, headers, said):
    hub.fault = failing(status, **headers)
    refused(ask(hub.url, tmp_path), said)
    assert hub.count("/revision/") == 1


def test_the_nearest_model_of_the_presets_is_offered(hub, tmp_path):
    refused(ask(hub.url, tmp_path, name="Qwen/Qwen2.5-0.5B-Instuct"), "Did you mean 'Qwen/Qwen2.5-0.5B-Instruct'?")


def test_a_revision_that_is_not_there_is_named(hub, tmp_path):
    refused(ask(hub.url, tmp_path, revision="nowhere"), "revision 'nowhere'", "language.revision")


def test_a_file_that_stumbles_is_asked_again(hub, tmp_path):
    hub.fault = failing(500, "model.safetensors", times=2, method="GET")
    whole(ask(hub.url, tmp_path))


def test_a_download_that_breaks_off_goes_on_where_it_was(hub, tmp_path):
    hub.fault = lambda request, verb, path, before: (
        verb == "GET" and path.endswith("model.safetensors") and not before and not send_half(request, WEIGHTS)
    )
    whole(ask(hub.url, tmp_path))


def test_a_download_that_always_breaks_off_leaves_nothing_to_use(hub, tmp_path):
    hub.fault = lambda request, verb, path, _: (
        verb == "GET" and path.endswith("model.safetensors") and not send_half(request, WEIGHTS)
    )
    refused(ask(hub.url, tmp_path), "cannot be fetched")
    assert not list(tmp_path.rglob("snapshots/*/model.safetensors"))
    refused(ask(hub.url, tmp_path, HF_HUB_OFFLINE="1"), "not whole in the cache")


def test_a_slow_server_is_waited_for(hub, tmp_path):
    hub.fault = lambda request, verb, path, _: (
        verb == "GET" and path.endswith("model.safetensors") and not send_slowly(request, WEIGHTS, pause_s=0.2)
    )
    whole(ask(hub.url, tmp_path))


def test_a_model_of_pickles_only_is_refused_unread(hub, tmp_path):
    del hub.files["model.safetensors"], hub.files["original/model.safetensors"]
    answer = ask(hub.url, tmp_path)
    assert answer["error"] == "ModelError" and "no weights as safetensors" in answer["message"]
    assert not hub.count("pytorch_model.bin")


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")
def test_without_any_network_interface_the_cached_model_loads(hub, tmp_path):
    prefix = ("unshare", "--net", "--map-root-user")
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let a test have a network of its own")
    whole(ask(hub.url, tmp_path))
    whole(ask(hub.url, tmp_path, prefix=prefix, HF_HUB_OFFLINE="1"))
    whole(ask(hub.url, tmp_path, prefix=prefix))


def test_code_is_fetched_and_allowed_only_from_a_commit_that_was_named(hub, tmp_path):
    hub.files["config.json"] = b'{"model_type": "own", "auto_map": {"AutoModelForCausalLM": "modeling.Own"}}'
    floating = ask(hub.url, tmp_path, code=True)
    assert "language.revision is null" in floating["message"] and not hub.requests
    assert "modeling.py" not in whole(ask(hub.url, tmp_path))
    allowed = ask(hub.url, tmp_path, code=True, revision=COMMIT)
    assert allowed["code"] and "modeling.py" in whole(allowed)
    stranger = ask(hub.url, tmp_path, code=True, revision=COMMIT, foreign=True)
    assert f"PANOLLAVA_TRUST_REMOTE_CODE=owner/model@{COMMIT}" in stranger["message"]
    named = {"PANOLLAVA_TRUST_REMOTE_CODE": f"a/b@{COMMIT}, owner/model@{COMMIT}"}
    assert ask(hub.url, tmp_path, code=True, revision=COMMIT, foreign=True, **named)["code"]
