"""Whether the trainer sees the tokens as the generator sampled them, and how old they are.

Before an update the two must agree but for rounding: both ran the same weights over the same ids.
Where they do not, ids, mask, temperature or weights are wrong, and training on it learns the error.

Source: NeMo-RL's and TRL's comparisons of generator and trainer log-probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from benchside.errors import IntegrityError
from benchside_training.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class Ratios:
    """Importance ratios of the trainer's probabilities to the generator's.

    Args:
        mean: 1 where they agree, and in expectation also where they do not.
        largest_log: greatest absolute log ratio of a token.
        kl: estimate (k3) of KL(generator ‖ trainer), in nats per token.
        effective_share: effective sample size over tokens: 1 where all ratios are equal.
        tokens: how many were compared.
    """

    mean: float
    largest_log: float
    kl: float
    effective_share: float
    tokens: int


def compare(trainer: Tensor, generator: Tensor, mask: Tensor) -> Ratios:
    """Compare log-probabilities (R, T) of the same tokens where `mask` (R, T) is True."""
    log = (trainer.detach() - generator)[mask].double()
    ratio = log.exp()
    return Ratios(
        mean=float(ratio.mean()),
        largest_log=float(log.abs().max()),
        kl=float((ratio - 1 - log).mean()),  # the tokens were drawn by the generator
        effective_share=float(ratio.sum() ** 2 / (len(ratio) * (ratio**2).sum())),
        tokens=len(ratio),
    )


def check_same(ratios: Ratios, most_kl: float) -> None:
    """Check that trainer and generator agree on tokens of the version that is being trained.

    Args:
        most_kl: in nats per token; float32 on one machine gives about 1e-9, bfloat16 about 1e-3.

    Raises:
        IntegrityError: they do not.
    """
    if not ratios.kl <= most_kl:  # not a number is no agreement
        raise IntegrityError(
            "trainer and generator give the same tokens other probabilities",
            where=f"{ratios.tokens} sampled tokens, largest log ratio {ratios.largest_log:.3g}",
            value=f"{ratios.kl:.3g} nats per token, at most {most_kl:g}",
            fix="check that both have the same weights, chat template, temperature and dtype; "
            "nothing was updated",
        )  # fmt: skip


def fresh(
    trajectories: Sequence[Trajectory], version: int, max_staleness: int
) -> tuple[list[Trajectory], int]:
    """Return the trajectories that are new enough to train version `version`, and how many are not.

    Args:
        max_staleness: by how many versions the oldest sampled token may be behind.
    """
    kept = [one for one in trajectories if version - one.oldest_version <= max_staleness]
    return kept, len(trajectories) - len(kept)
