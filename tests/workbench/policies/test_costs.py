"""What models cost: price files, the response cache, and what a run's table says of both."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchside.asker import Asker, asking
from benchside.errors import InputError
from benchside.evaluation import read_evaluation
from benchside.policies import PolicyOptions, make_policy
from benchside.policies.prices import read_prices
from benchside.policy import Action
from benchside.statistics.costs import costs
from tests.workbench.chat_server import ChatServer, Step, call, status
from tests.workbench.policies.test_backends import START

PRICES = """
"openai:cheap*": {input: 1, output: 2, cached: 0.5}
"*": {input: 10, output: 20}
"""


def test_a_price_file_prices_policies_that_have_no_price(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(PRICES)
    path = tmp_path / "first.yaml"
    path.write_text(
        "suites: [power]\nprices: prices.yaml\nbudget: {usd: 1}\n"
        "policies: ['openai:cheap-1', 'blind:cheap-1', 'anthropic:m',"
        " 'plan(debug(openai:cheap-1), openai:dear)',\n"
        "  {policy: 'openai:cheap-2', usd_per_million_input_tokens: 7,"
        " usd_per_million_output_tokens: 8}]"
    )
    found = read_evaluation(path).policies
    made: list[Any] = [
        make_policy(choice.policy, choice.options.model_copy(update={"base_url": "http://h"}),
                    prices=choice.price_list)
        for choice in found if not choice.policy.startswith("anthropic")
    ]  # fmt: skip
    openai, blind, plan, own = made
    asked = [openai, blind, plan.inner.inner, plan.second, own]
    assert [one.options.prices for one in asked] == [(1, 2), (1, 2), (1, 2), (10, 20), (7, 8)]
    assert plan.config["second"]["usd_per_million_output_tokens"] == 20
    assert openai.options.cost_usd(10, 5, cached=4) == pytest.approx((6 + 4 * 0.5 + 5 * 2) / 1e6)
    (tmp_path / "prices.yaml").write_text('"openai:cheap*": {input: 1, output: 2}')
    with pytest.raises(InputError, match=r"budget in dollars(.|\n)*anthropic:m"):
        read_evaluation(path)
    path.write_text(path.read_text().replace("'anthropic:m',", ""))
    with pytest.raises(InputError, match=r"budget in dollars(.|\n)*openai:dear"):
        read_evaluation(path)
    (tmp_path / "prices.yaml").write_text('"openai:m": {input: -1, output: 2}')
    with pytest.raises(InputError, match=r"prices.yaml(.|\n)*openai:m.input"):
        read_prices(tmp_path / "prices.yaml")


async def ask(server: ChatServer, sample: int, **options: Any) -> Action:
    chosen = PolicyOptions(
        base_url=server.url, cache=True, max_retries=0, usd_per_million_input_tokens=1,
        usd_per_million_output_tokens=1, **options,
    )  # fmt: skip
    async with contextlib.aclosing(make_policy("openai:m", chosen)) as policy:
        with asking(Asker(sample)):
            return await policy.act(START)


async def test_a_check_asks_the_server_and_a_repeated_key_is_cut_out_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCHSIDE_HOME", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", 'planted-"0123')
    leaked = call(("run_cell", {"code": 'planted-"0123, but none'}), content='planted-"0123')
    with ChatServer(leaked) as server:
        chosen = PolicyOptions(base_url=server.url, cache=True, max_retries=0)
        async with contextlib.aclosing(make_policy("openai:m", chosen)) as policy:
            await policy.check()
            await policy.check()
            assert len(server.requests) == 2
            said = [await policy.act(START) for _ in range(2)]
        assert len(server.requests) == 3
    assert [(one.code, one.thought) for one in said] == [("[API key], but none", "[API key]")] * 2
    kept = [path for path in (tmp_path / "responses").rglob("*") if path.is_file()]
    assert len(kept) == 1 and "planted" not in kept[0].read_text()
    monkeypatch.setenv("OPENAI_API_KEY", "none")  # no secret, but a word
    with ChatServer(leaked) as server:
        assert "but none" in str((await ask(server, 0)).code)


async def test_cached_answers_are_those_that_came_and_samples_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCHSIDE_HOME", str(tmp_path))
    steps = [
        Step(b'{"choices": []}'), status(500),
        *(
            call(("run_cell", {"code": one}), reasoning="é")
            for one in ("first", "second", "warm", "anew")
        ),
    ]  # fmt: skip
    with ChatServer(*steps) as server:
        for _ in range(2):
            with pytest.raises(Exception, match="try"):
                await ask(server, 0)
        live = await ask(server, 0)
        again = await ask(server, 0)
        other = await ask(server, 1)
        warm = await ask(server, 0, temperature=1.0)
        for kept in (tmp_path / "responses").rglob("*"):
            if kept.is_file():
                kept.write_text('{"choices"')  # a crash, or somebody, has cut it
        assert (await ask(server, 0)).code == "anew"
    assert [one.code for one in (live, again, other, warm)] == ["first", "first", "second", "warm"]
    assert len(server.requests) == 6, "faults are not kept, and equal requests are sent once"
    assert again.model_dump(exclude={"usage"}) == live.model_dump(exclude={"usage"})
    assert (live.usage.requests, live.usage.cache_hits) == (1, 0)
    assert (again.usage.requests, again.usage.cache_hits, again.usage.cost_usd) == (0, 1, 0.0)
    assert again.usage.input_tokens == live.usage.input_tokens


def test_the_cost_table_counts_by_policy_and_says_what_it_does_not_know() -> None:
    episodes = pd.DataFrame(
        {
            "policy": ["a", "a", "b"], "outcome": ["solved", "wrong", "wrong"],
            "requests": [2, 3, 1], "cache_hits": [0, 1, None], "input_tokens": [10, 20, 5],
            "cached_tokens": [4, None, None], "output_tokens": [1, 2, None],
            "cost_usd": [0.5, 1.0, None],
        }
    )  # fmt: skip
    table = costs(episodes).set_index("policy")
    assert table.loc["a", ["episodes", "solved", "requests", "cache_hits"]].tolist() == [2, 1, 5, 1]
    assert table.loc["a", ["input_tokens", "cached_tokens", "output_tokens"]].tolist() == [30, 4, 3]
    assert table.loc["a", ["usd", "usd_per_episode", "usd_per_solved"]].tolist() == [1.5, 0.75, 1.5]
    assert table.loc["b", ["output_tokens", "usd", "usd_per_solved"]].isna().all()
    assert costs(episodes[episodes.policy == "none"]).empty
