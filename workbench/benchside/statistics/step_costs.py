"""What each step of a policy costs: its actions, and what scaffolds ask beside them."""

from __future__ import annotations

import pandas as pd

from benchside.runs import Run

ACT = "act"
_SPENT = ["requests", "input_tokens", "output_tokens", "latency_s", "cost_usd"]
_TURN = ["run", "episode_id", "turn"]


def step_costs(run: Run) -> pd.DataFrame:
    """Return a row for each policy and step, in the order in which steps were first taken.

    Returns:
        policy, step, `per_episode` (how often an episode took it), and means per episode of
        requests, input_tokens, output_tokens, latency_s and cost_usd; missing where it was not
        measured. The step "act" is the actions themselves.
    """
    calls = run.calls
    turns = run.turns.set_index(_TURN)[_SPENT]
    beside = calls.groupby(_TURN)[_SPENT].sum(min_count=1).reindex(turns.index)
    acts = (turns - beside.fillna(0)).reset_index().assign(step=ACT)
    steps = pd.concat([calls, acts]).sort_values(_TURN, kind="stable")
    named = steps.merge(run.episodes[["run", "episode_id", "policy"]], on=["run", "episode_id"])
    episodes = run.episodes["policy"].value_counts().to_dict()
    rows = []
    for (policy, step), part in named.groupby(["policy", "step"], sort=False):
        spent = part[_SPENT].astype("float64").sum(min_count=1)
        per = {name: value / episodes[policy] for name, value in spent.items()}
        rows.append(
            {"policy": policy, "step": step, "per_episode": len(part) / episodes[policy], **per}
        )
    return pd.DataFrame(rows, columns=["policy", "step", "per_episode", *_SPENT])
