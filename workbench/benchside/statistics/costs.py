"""What the policies of a run have cost: requests, tokens and dollars, of its finished episodes."""

from __future__ import annotations

import pandas as pd

SUMS = ("requests", "cache_hits", "input_tokens", "cached_tokens", "output_tokens")
COLUMNS = ("policy", "episodes", "solved", *SUMS, "usd", "usd_per_episode", "usd_per_solved")


def costs(episodes: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each policy that has asked a model.

    Args:
        episodes: as of `benchside.load_run(…).episodes`; attempts that were run again are not in
            it, though they have cost something.

    Returns:
        Columns `COLUMNS`; what no episode has measured is missing, never 0. Dollars are missing,
        too, where an episode with tokens has no price.
    """
    rows = []
    for policy, part in episodes.groupby("policy"):
        asked = part[part[["requests", "input_tokens", "output_tokens"]].notna().any(axis=1)]
        if asked.empty:
            continue
        solved = int((part["outcome"] == "solved").sum())
        usd = asked["cost_usd"].sum() if asked["cost_usd"].notna().all() else None
        sums = {name: asked[name].sum(min_count=1) for name in SUMS}
        rows.append(
            {
                "policy": policy, "episodes": len(part), "solved": solved, **sums, "usd": usd,
                "usd_per_episode": None if usd is None else usd / len(part),
                "usd_per_solved": None if usd is None or not solved else usd / solved,
            }
        )  # fmt: skip
    types = dict.fromkeys(("episodes", "solved", *SUMS), "Int64")
    dollars = dict.fromkeys(COLUMNS[-3:], "Float64")
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({**types, **dollars})
