"""Code of a model runs only if the user named the model and the commit."""

import json

import pytest

from panollava.errors import ModelError
from panollava.models import remote_code
from panollava.models.remote_code import VARIABLE, CodeConsent, check_code, code_needed

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch):
    monkeypatch.setattr(remote_code, "_given", set())
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"auto_map": {"AutoModel": "modeling.M"}}))
    return tmp_path


def check(folder, consent, *, commit=COMMIT):
    return check_code(folder, "owner/model", consent=consent, commit=commit, key="vision.model")


def test_it_is_off_unless_named(folder):
    assert check(folder, CodeConsent()) is False
    assert check(folder, CodeConsent(asked=True)) is True


def test_a_model_without_code_needs_no_consent(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert check(tmp_path, CodeConsent(asked=True, foreign=True)) is False
    assert code_needed(tmp_path, "owner/model", key="vision.model") == ""


@pytest.mark.parametrize("revision", [None, "main", COMMIT[:12], COMMIT.upper(), COMMIT + "0"])
def test_only_a_commit_pins_code(revision):
    with pytest.raises(ModelError, match=r"vision.trust_remote_code is true, but vision.revision is"):
        CodeConsent(asked=True).check_pin("owner/model", revision, key="vision.model")
    CodeConsent().check_pin("owner/model", revision, key="vision.model")


def test_a_commit_is_a_pin():
    CodeConsent(asked=True).check_pin("owner/model", COMMIT, key="vision.model")


def test_code_of_another_repository_is_not_run(folder):
    (folder / "config.json").write_text(json.dumps({"auto_map": {"AutoModel": "other/code--modeling.M"}}))
    with pytest.raises(ModelError, match=r"other/code--modeling.M\), which its revision does not pin"):
        check(folder, CodeConsent(asked=True))


def test_a_checkpoint_cannot_give_consent_for_its_reader(folder, monkeypatch):
    foreign = CodeConsent(asked=True, foreign=True)
    with pytest.raises(ModelError, match=f"set {VARIABLE}=owner/model@{COMMIT}"):
        check(folder, foreign)
    monkeypatch.setenv(VARIABLE, f"owner/model@{'f' * 40}")
    with pytest.raises(ModelError, match="cannot allow that to itself"):
        check(folder, foreign)
    monkeypatch.setenv(VARIABLE, f"owner/model@{COMMIT} , a/b")
    assert check(folder, foreign) is True


def test_what_a_run_trained_with_consent_it_may_load_again(folder):
    assert check(folder, CodeConsent(asked=True)) is True
    assert check(folder, CodeConsent(asked=True, foreign=True)) is True
    with pytest.raises(ModelError, match="cannot allow that to itself"):
        check(folder, CodeConsent(asked=True, foreign=True), commit="f" * 40)


def test_why_a_model_does_not_load_is_told(folder):
    told = code_needed(folder, "owner/model", key="vision.model")
    assert "(modeling.M), which is not run" in told and "vision.trust_remote_code: true and vision.revision" in told
