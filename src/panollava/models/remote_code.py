"""Python code that comes with a model: it runs only if the user names the model and the commit.

Some models on the hub are no architecture of transformers but Python files beside the weights. To load them is to run
whatever the files say, with the rights of the user. Three things must come together: the setting
``trust_remote_code: true``, a revision that is a commit (a branch can change overnight), and a configuration of the
user's own. One that came with a checkpoint cannot give consent for its reader, who may give it by

    PANOLLAVA_TRUST_REMOTE_CODE=owner/name@commit    (several: with commas)
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from panollava.errors import ModelError
from panollava.models.folder_check import code_references

VARIABLE = "PANOLLAVA_TRUST_REMOTE_CODE"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_given: set[str] = set()


@dataclass(frozen=True, slots=True)
class CodeConsent:
    """Whether a model may run code of its own, and who said so.

    Attributes:
        asked: The setting ``trust_remote_code``.
        foreign: Whether the setting came with a checkpoint, and is not of the user's own configuration.
    """

    asked: bool = False
    foreign: bool = False

    def check_pin(self, name: str, revision: str | None, *, key: str) -> None:
        """Check that code would come from a commit.

        Raises:
            ModelError: If it is asked for from a branch or tag.
        """
        if self.asked and not _COMMIT.fullmatch(revision or ""):
            section = key.partition(".")[0]
            raise ModelError(
                f"{section}.trust_remote_code is true, but {section}.revision is {revision or 'null'}: code of "
                f"'{name}' is run from a commit only. Write {section}.revision: the 40 digits of a commit whose "
                "files you have read"
            )


def check_code(folder: Path, name: str, *, consent: CodeConsent, commit: str | None, key: str) -> bool:
    """Return whether code of the model may be run.

    Args:
        folder: Where its files are.
        name: Its hub id or folder.
        consent: The setting.
        commit: Commit of the hub; None for a folder.
        key: The setting that names the model.

    Raises:
        ModelError: If it may not be, but the model cannot be loaded without; or if it would come from elsewhere.
    """
    references = code_references(folder)
    if not consent.asked or not references:
        return False
    elsewhere = [reference for reference in references if "--" in reference]
    if elsewhere:
        raise ModelError(
            f"{key}: '{name}' takes code from another repository ({elsewhere[0]}), which its revision does not pin; "
            "it is not run. Copy that code into a folder of your own and give the folder"
        )
    section, named = key.partition(".")[0], f"{name}@{commit}" if commit else name
    if not consent.foreign:
        _given.add(named)
        return True
    if named not in _given | _by_environment():
        raise ModelError(
            f"{section}.trust_remote_code: the checkpoint's configuration wants to run Python code of '{named}'. "
            f"A checkpoint cannot allow that to itself. If you trust this code, set {VARIABLE}={named}"
        )
    return True


def code_needed(folder: Path, name: str, *, key: str) -> str:
    """Return why a model cannot be loaded, if it is for want of its own code; else an empty text."""
    references = code_references(folder)
    if not references:
        return ""
    section = key.partition(".")[0]
    return (
        f"'{name}' is no architecture of the installed transformers but Python code of its own ({references[0]}), "
        "which is not run: it could do anything that you can. Choose another model; or read the code, and write "
        f"{section}.trust_remote_code: true and {section}.revision: COMMIT"
    )


def _by_environment() -> set[str]:
    return {word.strip() for word in os.environ.get(VARIABLE, "").split(",") if word.strip()}
