"""Where a model server is, who runs it, and the key that it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from benchside.errors import InputError
from benchside.policies.keys import find_key


@dataclass(frozen=True, slots=True)
class Host:
    """A company that runs a server, and where its key is looked for."""

    name: str
    key_variables: tuple[str, ...]


def server_key(variables: Sequence[str], given: str | None, *, needed_at: str | None) -> SecretStr:
    """Return the key of a server.

    Args:
        needed_at: a server that cannot be asked without one; None where it can.

    Raises:
        InputError: there is none where one is needed, or it cannot be sent.
    """
    key = find_key(variables, given)
    if needed_at is not None and not key.get_secret_value():
        raise InputError(
            f"{needed_at} needs an API key", where=variables[0],
            fix=f"set {variables[0]}, or set base_url to a server of your own",
        )  # fmt: skip
    return key


def usable_url(url: str, variable: str) -> str:
    """Return a URL that can be asked and saved.

    Args:
        variable: where its secrets belong.

    Raises:
        InputError: it is no URL of HTTP, or holds a secret.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets or port
        usable = False
    if not usable:
        raise InputError(
            "base_url is no http or https URL", where="base_url",
            fix='such as "http://host:8000/v1"',
        )  # fmt: skip
    if parts.username or parts.password or parts.query:
        raise InputError(
            "base_url must not hold a user, password or query: it is saved with each run",
            where="base_url", fix=f"put the secret into {variable}",
        )  # fmt: skip
    return url
