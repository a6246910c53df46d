"""`PolicyOptions`: what a user may set on a policy. Keys are none of it: they are never saved."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from benchside.manner import Feedback, Manner, ProtocolName
from benchside.task import Frozen
from benchside.tools import TOOL_NAMES


class PolicyOptions(Frozen):
    """Options of policies that ask a model; the others ignore them.

    Args:
        base_url: of the server, such as "http://localhost:8000/v1"; None for OPENAI_BASE_URL,
            ANTHROPIC_BASE_URL or GOOGLE_GEMINI_BASE_URL where set, else the provider's own.
        api_version: of Azure OpenAI, such as "2024-10-21"; for other servers None.
        temperature, max_tokens, seed: sent with each request; None leaves them to the server.
        extra: further fields of each request, as the server names them, such as
            {"reasoning_effort": "low"}; of `vllm:`, arguments of its engine. They are saved with
            the run: no keys here.
        images: the model can see: it is shown the images that cells display.
        cache: keep answers in the home folder, and take them from there for equal requests.
        timeout_s: for one request, from sending it to the last byte of the answer.
        max_retries: further tries of a request that failed for a passing reason.
        backoff_s: wait before the first retry, doubled at each further one up to 30 s; a server's
            Retry-After goes before it.
        top_p, top_k: sample from the most probable tokens that together have this probability,
            and from so many; `hf:` and `vllm:` only, as are the following.
        dtype, device, attention: of a local model; None for float32 on a CPU and that of the
            weights elsewhere, for an accelerator where there is one, and "sdpa". vLLM picks the
            latter two itself.
        adapter: folder or hub name of a LoRA adapter.
        kv_memory_mib: for keys and values; None for half of a GPU's free memory, and an eighth of
            the machine's on a CPU.
        max_downtime_s: a server that fails everything for so long ends the run.
        requests_per_minute: retries count; None for no limit.
        max_concurrent_requests: further ones wait their turn. This and the rate hold for all
            policies of a run that ask the same server together.
        protocol: how the model acts; see `benchside.protocols`.
        feedback: "oracle" grades each answer of the protocol medagentgym at once, as published:
            not comparable with what is graded once.
        compact_chars: where the conversation has more characters, the oldest observations are
            shown as one-line notes until half are left; None: never.
        usd_per_million_input_tokens, usd_per_million_output_tokens: prices, for `cost_usd`.
        usd_per_million_cached_tokens, usd_per_million_written_tokens: of input that the server
            reads from its cache or writes to it; None: as other input.
    """

    base_url: str | None = None
    api_version: str | None = None
    temperature: float | None = Field(None, ge=0)
    max_tokens: int | None = Field(None, ge=1)
    seed: int | None = None
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=1)
    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    device: str | None = None
    attention: Literal["sdpa", "eager"] = "sdpa"
    adapter: str | None = None
    kv_memory_mib: int | None = Field(None, ge=1)
    extra: dict[str, JsonValue] = Field(default_factory=dict)
    images: bool = False
    cache: bool = False
    timeout_s: float = Field(300.0, gt=0)
    max_retries: int = Field(5, ge=0)
    backoff_s: float = Field(0.5, ge=0)
    max_downtime_s: float = Field(120.0, ge=0)
    requests_per_minute: float | None = Field(None, gt=0)
    max_concurrent_requests: int = Field(64, ge=1)
    protocol: ProtocolName = "native"
    feedback: Feedback = "execution"
    compact_chars: int | None = Field(None, ge=1000)
    usd_per_million_input_tokens: float | None = Field(None, ge=0)
    usd_per_million_output_tokens: float | None = Field(None, ge=0)
    usd_per_million_cached_tokens: float | None = Field(None, ge=0)
    usd_per_million_written_tokens: float | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _check_feedback(self) -> Self:
        if self.feedback == "oracle" and self.protocol != "medagentgym":
            raise ValueError(
                "feedback oracle exists for parity with published runs: it needs the protocol "
                "medagentgym"
            )
        return self

    @property
    def manner(self) -> Manner:
        """How a policy with these options wants its episodes."""
        tools = TOOL_NAMES if self.protocol == "medagentgym" else ()
        return Manner(self.protocol, self.feedback, tools)

    @property
    def mark(self) -> str:
        """What tells a policy's name from that of one with the usual protocol."""
        if self.feedback == "oracle":
            return f"[{self.protocol}, oracle: not comparable]"
        return "" if self.protocol == "native" else f"[{self.protocol}]"

    @property
    def prices(self) -> tuple[float | None, float | None]:
        """US dollars per million input and output tokens."""
        return self.usd_per_million_input_tokens, self.usd_per_million_output_tokens

    def cost_usd(
        self, input_tokens: int | None, output_tokens: int | None, cached: int = 0, written: int = 0
    ) -> float | None:
        """Return what tokens cost; None where a price or a count is not known.

        Args:
            cached, written: of the input, read from the server's cache and written to it.
        """
        each, each_out = self.prices
        if None in (each, each_out, input_tokens, output_tokens):
            return None
        read, wrote = self.usd_per_million_cached_tokens, self.usd_per_million_written_tokens
        plain = (input_tokens or 0) - cached - written
        counted = (
            (plain, each),
            (cached, each if read is None else read),
            (written, each if wrote is None else wrote),
            (output_tokens or 0, each_out),
        )
        return sum(tokens * (price or 0) for tokens, price in counted) / 1e6
