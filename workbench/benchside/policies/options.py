"""`PolicyOptions`: what a user may set on a policy. Keys are none of it: they are never saved."""

from __future__ import annotations

from pydantic import Field

from benchside.task import Frozen


class PolicyOptions(Frozen):
    """Options of policies that ask a model server; the others ignore them.

    Args:
        base_url: of an OpenAI-compatible server, such as "http://localhost:8000/v1"; None for
            OPENAI_BASE_URL where set, else OpenAI's own.
        temperature, max_tokens, seed: sent with each request; None leaves them to the server.
        timeout_s: for one request, from sending it to the last byte of the answer.
        max_retries: further tries of a request that failed for a passing reason.
        backoff_s: wait before the first retry, doubled at each further one up to 30 s; a server's
            Retry-After goes before it.
        requests_per_minute: retries count; None for no limit.
        max_concurrent_requests: of one policy; further ones wait their turn.
    """

    base_url: str | None = None
    temperature: float | None = Field(None, ge=0)
    max_tokens: int | None = Field(None, ge=1)
    seed: int | None = None
    timeout_s: float = Field(300.0, gt=0)
    max_retries: int = Field(5, ge=0)
    backoff_s: float = Field(0.5, ge=0)
    requests_per_minute: float | None = Field(None, gt=0)
    max_concurrent_requests: int = Field(64, ge=1)
