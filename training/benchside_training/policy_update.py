"""One update of a policy from finished episodes: GRPO and its variants, or PPO with a value head.

Trajectories are packed into rows that are gone through one after another; their losses add up to
that of the whole step, so that the size of a row changes memory and nothing else. Nothing is
stepped before the trainer has been found to give the sampled tokens the probabilities that they
were sampled with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from pydantic import Field
from torch import Tensor, nn

from benchside.task import Frozen
from benchside_training.advantages import (
    GroupAdvantages,
    Scored,
    group_advantages,
    trajectory_gae,
    whitened,
)
from benchside_training.branches import BranchAdvantages, branch_advantages
from benchside_training.errors import TrainingError
from benchside_training.losses import (
    Aggregation,
    aggregate,
    kl_k3,
    policy_loss,
    total,
    value_loss,
)
from benchside_training.ratios import Ratios, check_same, compare
from benchside_training.token_batch import TokenBatch, packed
from benchside_training.token_scores import token_scores
from benchside_training.trajectory import Trajectory


class UpdateConfig(Frozen):
    """Options of an update.

    Args:
        aggregation, constant_length: see `losses`.
        clip_low, clip_high: of the importance ratio; DAPO's "clip higher" by default.
        divide_by_std: of group advantages; False as in Dr. GRPO.
        branches: episodes that part at a fork are compared with their siblings, see `branches`;
            otherwise, as all others, with those of their task.
        kl_weight: of the distance to the reference policy; 0 needs none.
        positive_weight: of the mean negative log-likelihood of all that got the whole reward, also
            in groups without signal as long as others have some (VAPO's positive examples); 0:
            none.
        passes: optimiser steps on the same trajectories.
        temperature: that they were sampled at.
        max_tokens: of a packed row. On a CPU, where attention costs the square of a row's length, a
            row is no longer than the longest trajectory.
        most_kl: most that trainer and generator may differ on tokens of the version in training,
            in nats per token.
        discount, decay, by_turn, value_weight, value_clip: of PPO.
    """

    aggregation: Aggregation = "token"
    constant_length: int = Field(1024, ge=1)
    clip_low: float = Field(0.2, gt=0)
    clip_high: float = Field(0.28, gt=0)
    divide_by_std: bool = True
    branches: bool = False
    kl_weight: float = Field(0.0, ge=0)
    positive_weight: float = Field(0.0, ge=0)
    passes: int = Field(1, ge=1)
    temperature: float = Field(1.0, gt=0)
    max_tokens: int = Field(8192, ge=2)
    max_grad_norm: float = Field(1.0, gt=0)
    most_kl: float = Field(1e-2, gt=0)
    discount: float = Field(1.0, gt=0, le=1)
    decay: float = Field(1.0, ge=0, le=1)
    by_turn: bool = False
    value_weight: float = Field(0.5, gt=0)
    value_clip: float = Field(0.2, gt=0)


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """What an update did, in means over trained tokens; None where nothing was trained on.

    Args:
        groups, without_signal, unscored: as in `GroupAdvantages`; PPO has no groups.
        kl: to the reference, k3 estimate in nats per token; None without one.
        clipped: share of tokens whose ratio was beyond a clip in the last pass.
        tokens: trained on, once for each pass, what `positive_weight` makes likelier included;
            input_tokens: the same with their context.
        ratios: trainer against generator before the first step, on tokens of the version in
            training; None where all are older.
        effective_share: effective sample size over tokens, all tokens counted, before the first
            step.
    """

    groups: int
    without_signal: int
    unscored: int
    tokens: int
    input_tokens: int = 0
    loss: float | None = None
    entropy: float | None = None
    kl: float | None = None
    clipped: float | None = None
    gradient_norm: float | None = None
    ratios: Ratios | None = None
    effective_share: float | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """A packed row with what is known of its tokens, all (1, T)."""

    batch: TokenBatch
    old: Tensor
    versions: Tensor
    advantages: Tensor
    values: Tensor | None = None
    returns: Tensor | None = None
    reference: Tensor | None = None


def update(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    trajectories: Sequence[Trajectory],
    config: UpdateConfig,
    *,
    version: int,
    reference: nn.Module | None = None,
    value_head: nn.Module | None = None,
) -> UpdateReport:
    """Update a policy in place.

    Args:
        model: a causal language model; its dropout, if any, is off: probabilities would not be
            those of sampling.
        trajectories: of whole groups; those without a reward are left out.
        version: of the weights that the model has now.
        reference: the policy that `kl_weight` holds it near to.
        value_head: maps hidden states (…, D) to values (…, 1): PPO instead of GRPO.

    Raises:
        IntegrityError: trainer and generator disagree; nothing was stepped.
        TrainingError: loss or gradient is no number; nothing was stepped.
    """
    model.eval()
    for module in model.modules():
        if getattr(module, "gradient_checkpointing", False):
            module.training = True  # it checkpoints only then; what it holds has no dropout
    device = next(model.parameters()).device
    if value_head is None:
        parts, report = _grouped(trajectories, config, device)
    else:
        parts, report = _valued(model, value_head, trajectories, config, device)
    if not parts:
        return report
    if reference is not None:
        parts = [_with_reference(part, reference, config) for part in parts]
    positives = _positives(trajectories, config, device)
    parameters = [one for group in optimiser.param_groups for one in group["params"]]
    of = total([part.batch for part in parts], config.aggregation, config.constant_length)
    batches = [*(part.batch for part in parts), *positives]
    tokens = config.passes * sum(int(batch.loss_mask.sum()) for batch in batches)
    input_tokens = config.passes * sum(batch.tokens for batch in batches)
    ratios: Ratios | None = None
    effective_share: float | None = None
    for number in range(config.passes):
        optimiser.zero_grad()
        sums = _Sums()
        for part in parts:
            _backward(model, value_head, part, config, of, sums)
        _backward_likelihood(model, positives, config)
        if number == 0:
            ratios = sums.compared(version)
            effective_share = sums.effective_share()
            if ratios is not None:
                check_same(ratios, config.most_kl)
        norm = float(nn.utils.clip_grad_norm_(parameters, config.max_grad_norm))
        if not (torch.isfinite(torch.tensor(sums.loss)) and torch.isfinite(torch.tensor(norm))):
            raise TrainingError(
                "the loss or its gradient is no number any more", where=f"version {version}",
                value=f"loss {sums.loss}, gradient {norm}", fix="lower the learning rate",
            )  # fmt: skip
        optimiser.step()
    return UpdateReport(
        report.groups,
        report.without_signal,
        report.unscored,
        tokens,
        input_tokens,
        loss=sums.loss,
        entropy=sums.entropy / sums.tokens,
        kl=None if reference is None else sums.kl / sums.tokens,
        clipped=sums.clipped / sums.tokens,
        gradient_norm=norm,
        ratios=ratios,
        effective_share=effective_share,
    )


class _Sums:
    """What the parts of one pass add up to."""

    def __init__(self) -> None:
        self.loss = self.entropy = self.kl = self.clipped = 0.0
        self.tokens = 0
        self.trainer: list[Tensor] = []
        self.generator: list[Tensor] = []
        self.versions: list[Tensor] = []

    def compared(self, version: int) -> Ratios | None:
        """Trainer against generator on tokens of a version."""
        own = torch.cat(self.versions) == version
        if not own.any():
            return None
        return compare(torch.cat(self.trainer), torch.cat(self.generator), own)

    def effective_share(self) -> float:
        """The effective sample size, of tokens of all versions."""
        trainer = torch.cat(self.trainer)
        every = torch.ones_like(trainer, dtype=torch.bool)
        return compare(trainer, torch.cat(self.generator), every).effective_share


def _backward(
    model: nn.Module,
    value_head: nn.Module | None,
    part: _Part,
    config: UpdateConfig,
    of: float,
    sums: _Sums,
) -> None:
    """Add a part's gradient to the model's, and its numbers to `sums`."""
    batch, mask = part.batch, part.batch.loss_mask
    scores = token_scores(model, batch, config.temperature, hidden=value_head is not None)
    values = policy_loss(
        scores.logprobs, part.old, part.advantages, config.clip_low, config.clip_high
    )
    if part.reference is not None:
        distance = kl_k3(scores.logprobs, part.reference)
        values = values + config.kl_weight * distance
        sums.kl += float(distance.detach()[mask].sum())
    if value_head is not None:
        assert scores.hidden is not None and part.values is not None and part.returns is not None
        guessed = value_head(scores.hidden)[..., 0].float()
        off = value_loss(guessed, part.values, part.returns, config.value_clip)
        values = values + config.value_weight * off
    loss = aggregate(values, batch, config.aggregation, of)
    loss.backward()  # type: ignore[no-untyped-call]
    log = (scores.logprobs.detach() - part.old)[mask]
    low, high = 1 - config.clip_low, 1 + config.clip_high
    sums.clipped += float(((log.exp() < low) | (log.exp() > high)).sum())
    sums.loss += float(loss.detach())
    sums.entropy += float(scores.entropy[mask].sum())
    sums.tokens += int(mask.sum())
    sums.trainer.append(scores.logprobs.detach()[mask])
    sums.generator.append(part.old[mask])
    sums.versions.append(part.versions[mask])


def _positives(
    trajectories: Sequence[Trajectory], config: UpdateConfig, device: torch.device
) -> list[TokenBatch]:
    """Packed rows of what got the whole reward, if it is to become likelier."""
    best = [one for one in trajectories if (one.reward or 0) >= 1 and not one.masked]
    if not config.positive_weight or not best:
        return []
    parts = _parts(best, [torch.zeros(len(one)) for one in best], config, device)
    return [part.batch for part in parts]


def _backward_likelihood(
    model: nn.Module, batches: Sequence[TokenBatch], config: UpdateConfig
) -> None:
    """Add the weighted gradient of the mean negative log-likelihood to the model's.

    Source: Y. Yue et al., VAPO (2025), section 4.4.
    """
    of = total(list(batches), "token")
    for batch in batches:
        logprobs = token_scores(model, batch, config.temperature).logprobs
        loss = -config.positive_weight * logprobs[batch.loss_mask].sum() / of
        loss.backward()  # type: ignore[no-untyped-call]


def _grouped(
    trajectories: Sequence[Trajectory], config: UpdateConfig, device: torch.device
) -> tuple[list[_Part], UpdateReport]:
    """Parts with each episode's advantage on all its tokens, or with those of its branches."""
    found: BranchAdvantages | GroupAdvantages
    if config.branches:
        found = branch_advantages(trajectories, divide_by_std=config.divide_by_std)
        pairs = list(zip(found.trajectories, found.gains, strict=True))
    else:
        episodes = {one.episode: Scored(one.group, one.reward) for one in trajectories}
        found = group_advantages(list(episodes.values()), divide_by_std=config.divide_by_std)
        by_episode = dict(zip(episodes, found.values, strict=True))
        pairs = [
            (one, torch.full((len(one),), value))
            for one in trajectories
            if (value := by_episode[one.episode]) is not None
        ]
    kept = [(one, gains) for one, gains in pairs if not one.masked]
    report = UpdateReport(found.groups, found.without_signal, found.unscored, 0)
    return _parts([one for one, _ in kept], [gains for _, gains in kept], config, device), report


def _valued(
    model: nn.Module,
    value_head: nn.Module,
    trajectories: Sequence[Trajectory],
    config: UpdateConfig,
    device: torch.device,
) -> tuple[list[_Part], UpdateReport]:
    """Parts with advantages over what the value head expects now."""
    episodes = {one.episode: one.reward for one in trajectories}
    kept = [one for one in trajectories if one.reward is not None and not one.masked]
    report = UpdateReport(0, 0, sum(reward is None for reward in episodes.values()), 0)
    parts = _parts(kept, [torch.zeros(len(one)) for one in kept], config, device)
    filled = []
    for part in parts:
        with torch.no_grad():
            scores = token_scores(model, part.batch, config.temperature, hidden=True)
            values = value_head(scores.hidden)[..., 0].float()
        advantages, returns = torch.zeros_like(values), torch.zeros_like(values)
        for number, one in enumerate(kept):
            own = part.batch.sequences == number
            if not own.any():
                continue
            found = trajectory_gae(
                one, values[own].cpu(), config.discount, config.decay, by_turn=config.by_turn
            )
            advantages[own], returns[own] = found.advantages.to(device), found.returns.to(device)
        filled.append(replace(part, advantages=advantages, values=values, returns=returns))
    if not filled:
        return [], report
    mask = torch.cat([part.batch.loss_mask[0] for part in filled])
    normal = whitened(torch.cat([part.advantages[0] for part in filled]), mask)
    scaled, start = [], 0
    for part in filled:
        own = normal[None, start : start + part.advantages.shape[1]]
        start += own.shape[1]
        scaled.append(replace(part, advantages=own))
    return scaled, report


def _with_reference(part: _Part, reference: nn.Module, config: UpdateConfig) -> _Part:
    with torch.no_grad():
        fixed = token_scores(reference, part.batch, config.temperature).logprobs
    return replace(part, reference=fixed)


def _parts(
    trajectories: Sequence[Trajectory],
    advantages: Sequence[Tensor],
    config: UpdateConfig,
    device: torch.device,
) -> list[_Part]:
    """The trajectories in packed rows; of each row a part, numbered as the trajectories are."""
    if not trajectories:
        return []
    longest = max(len(one) for one in trajectories)
    whole = packed(
        [one.input_ids for one in trajectories],
        [one.loss_mask for one in trajectories],
        longest if device.type == "cpu" else max(config.max_tokens, longest),
    )
    known = (
        whole.laid_out([one.logprobs for one in trajectories]),
        whole.laid_out([one.versions for one in trajectories], fill=-1),
        whole.laid_out(advantages),
    )
    parts = []
    for row in range(len(whole.input_ids)):
        own = slice(row, row + 1)
        batch = TokenBatch(
            whole.input_ids[own], whole.loss_mask[own], whole.sequences[own], whole.positions[own],
            packed=True,
        ).to(device)  # fmt: skip
        old, versions, gains = (one[own].to(device) for one in known)
        parts.append(_Part(batch, old, versions, gains))
    return parts
