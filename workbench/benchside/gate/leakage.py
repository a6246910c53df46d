"""What a suite's training tasks tell of its test tasks: shared groups, shared wordings.

Wordings are compared by 10-grams of words after slots are masked (numbers, quoted and coded
strings), so that two tasks of one template are alike. That is by design in a suite whose splits go
by patient; the gate reports it and holds nothing back for it.

Source of the measure: T. Brown et al., Language Models are Few-Shot Learners (2020), appendix C.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

from benchside.task import TaskSpec

GRAM = 10
MOST_SHARED = 0.8
COMMON = 0.2  # 10-grams in so many of all groups are a suite's frame, and are not counted

_SLOT = re.compile(r"'[^'\n]{1,80}'|\"[^\"\n]{1,80}\"|`[^`\n]{1,80}`|\d[\d.,:/-]*")


def masked_words(prompt: str) -> tuple[str, ...]:
    """The words of a prompt, its slots replaced by "#"."""
    return tuple(re.findall(r"\w+|#", _SLOT.sub(" # ", prompt.lower())))


def grams(words: tuple[str, ...]) -> set[int]:
    """Hashes of all runs of `GRAM` words; of a shorter prompt, the one of the whole."""
    last = max(len(words) - GRAM, 0)
    return {hash(words[start : start + GRAM]) for start in range(last + 1)}


def leakage(tasks: Iterable[TaskSpec]) -> tuple[str, ...]:
    """Return what train and test share, in sentences; empty where they share nothing."""
    common = Counter[int]()
    by_group: dict[str, set[int]] = defaultdict(set)
    splits: dict[str, set[str]] = defaultdict(set)
    wordings: dict[str, dict[tuple[str, ...], int]] = defaultdict(lambda: defaultdict(int))
    for task in tasks:
        splits[task.group].add(task.split)
        words = masked_words(task.prompt)
        wordings[task.split][words] += 1
        by_group[task.group] |= grams(words)
    for own in by_group.values():
        common.update(own)
    fewest = max(COMMON * len(by_group), 5)  # of two groups, nothing can be told to be a frame
    frame = {gram for gram, count in common.items() if count >= fewest}
    findings = []
    for split in ("valid", "test"):
        shared = sorted(group for group, where in splits.items() if {"train", split} <= where)
        if shared:
            shown = ", ".join(shared[:3]) + (" …" if len(shared) > 3 else "")
            findings.append(f"{len(shared):,} groups are in train and in {split}: {shown}")
        alike, total = _alike(wordings["train"], wordings[split], frame)
        if alike:
            findings.append(
                f"{alike:,} of {total:,} {split} tasks share at least {MOST_SHARED:.0%} of their "
                f"{GRAM}-grams (slots masked) with train tasks"
            )
    return tuple(findings)


def _alike(
    train: dict[tuple[str, ...], int], held_out: dict[tuple[str, ...], int], frame: set[int]
) -> tuple[int, int]:
    known = {gram for words in train for gram in grams(words)} - frame
    alike = 0
    for words, count in held_out.items():
        own = grams(words) - frame
        if own and len(own & known) >= MOST_SHARED * len(own):
            alike += count
    return alike, sum(held_out.values())
