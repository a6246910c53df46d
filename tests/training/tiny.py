"""Tiny random models, and episodes with tokens."""

from collections.abc import Sequence

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from benchside.episode import Episode, EpisodeUsage, Failure, Provenance
from benchside.grade import Grade
from benchside.policy import Action, Message, Tokens, Turn
from benchside.task import AnswerSchema, GraderRef, TaskSpec

VOCABULARY = 50


def tiny_llama(
    seed: int = 0, vocabulary: int = VOCABULARY, attention: str = "sdpa", context: int = 512
) -> LlamaForCausalLM:
    """A random llama of 2 layers × 16."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=context,
        tie_word_embeddings=True, bos_token_id=None, eos_token_id=2, pad_token_id=0,
        attn_implementation=attention,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def sampled(
    context: Sequence[int], drawn: Sequence[int], *, version: int = 0, restarted: bool = False
) -> Tokens:
    """Tokens of one action, each sampled with log-probability -0.5."""
    return Tokens(
        context_ids=tuple(context), sampled_ids=tuple(drawn), logprobs=(-0.5,) * len(drawn),
        versions=(version,) * len(drawn), restarted=restarted,
    )  # fmt: skip


def told(number: int, tokens: Tokens | None) -> Turn:
    """A turn without a cell."""
    message = Message(role="assistant", content=f"turn {number}")
    action = Action(message=message, problem="Nothing was run.", tokens=tokens)
    return Turn(action, None, (Message(role="user", content="Nothing was run."),))


def episode_of(
    turns: Sequence[Tokens | None],
    reward: float | None = 1.0,
    *,
    task_id: str = "t/1",
    sample: int = 0,
) -> Episode:
    """An episode with these tokens; without a reward, its grader has failed."""
    task = TaskSpec(
        task_id=task_id, suite="wards", version="1", category="count", split="train", group="g",
        prompt="How many patients are there?", image="wards.one",
        answer=AnswerSchema(kind="integer"), grader=GraderRef(name="number"),
    )  # fmt: skip
    graded, grade = reward is not None, None
    if reward is not None:
        grade = Grade(reward=reward, passed=reward == 1, grader="number/1", evidence="")
    return Episode(
        episode_id=f"{task_id}-{sample}", task=task, policy="hf:tiny", sample=sample, opening=(),
        setup_source="", turns=tuple(told(number, one) for number, one in enumerate(turns)),
        outcome=("solved" if reward == 1 else "wrong") if graded else "grader_error",
        terminated=True, truncated=False, end_reason="submitted", submission=None,
        grade=grade,
        failure=None if graded else Failure(kind="GraderError", message="crashed"),
        usage=EpisodeUsage(duration_s=1.0),
        provenance=Provenance(
            suite_build="b", image="i", isolation="process", seed=0, versions={}, git_commit=None,
            started_at="2026-01-01",
        ),
    )  # fmt: skip
