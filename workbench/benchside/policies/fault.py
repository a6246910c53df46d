"""`Fault`: why one request to a model server gave no message, and whether another try may help."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

PASSING_STATUSES = frozenset({408, 409, 425, 429})
REFUSALS = frozenset({400, 413, 422})

# how OpenAI, Anthropic, Gemini, vLLM, llama.cpp and TGI say that the conversation is too long
_CONTEXT_SIGNS = (
    "context length", "context_length", "context size", "context_size", "context window",
    "prompt is too long", "maximum input length", "exceeds the maximum number of tokens",
)  # fmt: skip
# how OpenAI and Anthropic say that there is nothing left to pay with: no waiting cures it
_QUOTA_SIGNS = ("insufficient_quota", "credit balance is too low", "billing_error")


@dataclass(frozen=True, slots=True)
class Fault:
    """Why one request gave no message.

    Args:
        kind: `unreachable` without any complete answer, `status` for HTTP errors, `reply` for an
            answer that is no message.
        what: for people, without keys.
        retry_after_s: how long the server asks to wait.
    """

    kind: Literal["unreachable", "status", "reply"]
    what: str
    status: int | None = None
    retry_after_s: float | None = None

    @property
    def too_long(self) -> bool:
        """The conversation does not fit into the model's context."""
        return self.kind == "status" and _signed(self.what, _CONTEXT_SIGNS)

    @property
    def refused(self) -> bool:
        """The server works, and refuses what this policy asks: no other try is made."""
        return self.too_long or (self.status in REFUSALS and not _signed(self.what, _QUOTA_SIGNS))

    @property
    def passing(self) -> bool:
        """Another try may be answered."""
        if self.kind != "status" or self.status is None:
            return True
        lasting = self.too_long or _signed(self.what, _QUOTA_SIGNS)
        return (self.status in PASSING_STATUSES or self.status >= 500) and not lasting


def status_fault(status: int, headers: Mapping[str, str], text: str) -> Fault:
    """Return the fault of an HTTP error.

    Args:
        headers: with names in lower case.
        text: of its body, without keys.
    """
    what = f"the model server answered HTTP {status}: {text[:500]}"
    return Fault("status", what, status=status, retry_after_s=retry_after_s(headers))


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a server asks to wait, None for none (RFC 9110, 10.2.3)."""
    value = headers.get("retry-after", "")
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass  # then it is a date
    try:
        return max(email.utils.parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except ValueError:
        return None


def _signed(what: str, signs: tuple[str, ...]) -> bool:
    return any(sign in what.lower() for sign in signs)
