"""What a fault of the model hub means: whether trying again helps, and what its reader can do."""

import difflib

from panollava.config.zoo import PRESETS

PASSING = (408, 425, 429, 500, 502, 503, 504)
"""Statuses that may be other in a second; refusals (401, 403, 404) are not."""


def cause_of(error: BaseException) -> BaseException:
    """Return what is behind an error of the hub's client: 'not in the cache' is the consequence of another fault."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    while isinstance(error, LocalEntryNotFoundError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def is_passing(error: BaseException) -> bool:
    """Whether a fault may pass by itself: the server's, a timeout, a broken connection, a download that was cut."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError, OfflineModeIsEnabled

    cause = cause_of(error)
    if isinstance(cause, HfHubHTTPError):
        return cause.response is not None and cause.response.status_code in PASSING
    if isinstance(cause, OfflineModeIsEnabled):
        return False
    # A file of another size than promised is an OSError with neither a number nor a class of its own.
    return isinstance(cause, HTTPError) or (type(cause) is OSError and cause.errno is None)


def tried_by_client(error: BaseException) -> bool:
    """Whether the hub's client has tried a request several times itself: lists, heads, and files that break off."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError

    cause = cause_of(error)
    if isinstance(cause, HfHubHTTPError) and cause.response is not None:
        request = cause.response.request
        return request.method == "HEAD" or "/tree/" in request.url.path
    # Other faults of the connection: only the first question, about the revision, is asked once.
    return isinstance(cause, HTTPError) and "/revision/" not in cause.request.url.path


def explained(error: BaseException, *, name: str, key: str, revision: str | None, offline: bool) -> str:
    """Return the message: what was asked for, what happened, and what to do.

    Args:
        error: The fault.
        name: The hub id.
        key: The setting that names it.
        revision: The revision that was asked for.
        offline: Whether the hub was not to be asked.
    """
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

    cause = cause_of(error)
    at = f" at revision '{revision}'" if revision else ""
    asked = f"{key}: the model '{name}'{at}"
    if offline:
        return f"{asked} is not whole in the cache of this machine, and HF_HUB_OFFLINE is set. {_fetch(name, revision)}"
    if isinstance(cause, GatedRepoError):
        return f"{asked} is gated: accept its licence on its page of the hub, then log in here: hf auth login"
    if isinstance(cause, RevisionNotFoundError):
        return f"{asked} does not exist, though the model does; correct {key.partition('.')[0]}.revision, or remove it"
    if isinstance(cause, RepositoryNotFoundError):
        return f"{asked} is not on the hub, or it is private. {_similar(name)}If it is private: hf auth login"
    if isinstance(cause, HfHubHTTPError) and cause.response is not None:
        status = cause.response.status_code
        if status in (401, 403):
            return f"{asked} is refused by the hub (status {status}); log in as someone who may read it: hf auth login"
        return f"{asked} cannot be fetched: the hub answers with status {status}. {_later(name, revision)}"
    said = " ".join(str(cause).split())[:200] or type(cause).__name__
    return f"{asked} cannot be fetched: {said}. {_later(name, revision)}"


def _fetch(name: str, revision: str | None) -> str:
    pin = f" --revision {revision}" if revision else ""
    return f"Fetch it where there is a network: hf download {name}{pin}; or give a local folder"


def _later(name: str, revision: str | None) -> str:
    return f"The cache has no whole copy. Try again later (panollava check-env asks the hub). {_fetch(name, revision)}"


def _similar(name: str) -> str:
    near = difflib.get_close_matches(name, [preset.model_id for preset in PRESETS], n=1, cutoff=0.6)
    return f"Did you mean '{near[0]}'? " if near else ""
