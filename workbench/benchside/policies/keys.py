"""Keys of model servers: where they come from, and how they stay out of what is written.

A key is taken from the environment, or else from the system's keyring where the package `keyring`
is installed (`keyring set benchside OPENAI_API_KEY`). It is held as a `SecretStr`, given to a
client library for its header, and cut out of all that a server says. What this does not cover:
other processes of the same user, which can read this process's environment and memory.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Sequence

from pydantic import SecretStr

from benchside.errors import InputError

KEYRING_SERVICE = "benchside"
LEAST_SECRET_CHARS = 8
"""Shorter keys are words such as `none` and `EMPTY`, which models write, too."""


def find_key(variables: Sequence[str], given: str | None = None) -> SecretStr:
    """Return a key, empty where there is none.

    Args:
        variables: names in the environment and in the keyring; the first that is set counts.
        given: instead of both.

    Raises:
        InputError: it cannot be sent in a header, or the keyring cannot be read.
    """
    if given is not None:
        return _usable(given, variables[0])
    for name in variables:
        if key := os.environ.get(name, ""):
            return _usable(key, name)
    for name in variables:
        if key := _from_keyring(name):
            return _usable(key, name)
    return SecretStr("")


def scrubbed(text: str, key: SecretStr) -> str:
    """Return a text, JSON or not, without the key, which some servers repeat, and fit for UTF-8."""
    secret = key.get_secret_value()
    clean = text.encode(errors="replace").decode()
    if len(secret) < LEAST_SECRET_CHARS:
        return clean
    for _ in range(3):  # as it is, in JSON, and in the JSON that a call's arguments are there
        clean = clean.replace(secret, "[API key]")
        secret = json.dumps(secret)[1:-1]
    return clean


def _from_keyring(name: str) -> str:
    try:  # an optional extra, whose import looks for the desktop's services
        keyring = importlib.import_module("keyring")
        errors = importlib.import_module("keyring.errors")
    except ModuleNotFoundError:
        return ""
    try:
        return keyring.get_password(KEYRING_SERVICE, name) or ""
    except errors.NoKeyringError:
        return ""  # the package without a keyring, as on servers
    except errors.KeyringError as error:
        raise InputError(
            f"the keyring cannot be read: {type(error).__name__}", where=name,
            fix=f"unlock it, or set {name} in the environment",
        ) from None  # fmt: skip


def _usable(key: str, name: str) -> SecretStr:
    """The key without the line end that files give it; others would break in an HTTP header."""
    key = key.strip()
    if not all("!" <= character <= "~" for character in key):
        raise InputError(
            "the API key holds blanks or characters outside ASCII", where=name, fix="copy it again"
        )
    return SecretStr(key)
