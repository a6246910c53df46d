"""On an accelerator, all is as on a CPU: what is sampled, and what is learned from it."""

import asyncio
import copy

import pytest
import torch

from benchside_training.local.engine import Engine
from benchside_training.local.sampling import Sampling
from benchside_training.local.sequence import Sampled
from benchside_training.policy_update import UpdateConfig, update
from tests.training.local.small import llama
from tests.training.test_policy_update import TEMPERATURE, episodes
from tests.training.tiny import tiny_llama

pytestmark = pytest.mark.gpu
PROMPTS = [list(range(3, 3 + length)) for length in (5, 40, 90)]


def sampled(model: torch.nn.Module) -> list[Sampled]:
    """Greedily, all at once; then each conversation goes on."""

    async def turns() -> list[Sampled]:
        engine = Engine(model, kv_memory_mib=64)
        greedy = Sampling(max_tokens=12, stop_ids=frozenset(), temperature=0)
        try:
            first = await asyncio.gather(*[engine.sample(ids, greedy) for ids in PROMPTS])
            known = [[*ids, *one.ids] for ids, one in zip(PROMPTS, first, strict=True)]
            again = [engine.sample([*ids, 7, 8], greedy, known=len(ids)) for ids in known]
            return [*first, *await asyncio.gather(*again)]
        finally:
            await engine.aclose()

    return asyncio.run(turns())


def test_the_same_tokens_are_sampled() -> None:
    here = llama()
    there = copy.deepcopy(here).cuda()
    for one, other in zip(sampled(here), sampled(there), strict=True):
        assert one.ids == other.ids
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-3)


@pytest.mark.parametrize("max_tokens", [10, 100])
def test_the_same_is_learned(max_tokens: int) -> None:
    here, there = tiny_llama(), tiny_llama().cuda()
    config = UpdateConfig(temperature=TEMPERATURE, max_tokens=max_tokens)
    given = episodes(tiny_llama())
    reports = [
        update(model, torch.optim.SGD(model.parameters(), lr=1.0), given, config, version=0)
        for model in (here, there)
    ]
    assert reports[0].loss == pytest.approx(reports[1].loss, abs=1e-4)
    assert reports[0].input_tokens == reports[1].input_tokens
    for one, other in zip(here.parameters(), there.parameters(), strict=True):
        assert torch.allclose(one, other.cpu(), atol=1e-3)
