"""What a suite's training tasks tell of its test tasks: shared groups, shared wordings.

Wordings are compared by 10-grams of words after slots are masked (numbers, quoted and coded
strings), so that two tasks of one template are alike. That is by design in a suite whose splits go
by patient; the gate reports it and holds nothing back for it. Sentences that many groups share
(instructions, conventions) are left out first: in a long frame, a short question would not count.

Source of the measure: T. Brown et al., Language Models are Few-Shot Learners (2020), appendix C.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from typing import TypeVar

from benchside.task import TaskSpec

GRAM = 10
MOST_SHARED = 0.8
COMMON = 0.2  # sentences and 10-grams in so many of all groups are a suite's frame

Words = tuple[str, ...]
Part = TypeVar("Part", bound=Hashable)

_SENTENCE_END = re.compile(r"\n|(?<=[.:;!?])\s+")
_SLOT = re.compile(r"'[^'\n]{1,80}'|\"[^\"\n]{1,80}\"|`[^`\n]{1,80}`|\d[\d.,:/-]*")


def masked_sentences(prompt: str) -> tuple[Words, ...]:
    """The sentences and lines of a prompt as words, slots replaced by "#"."""
    sentences = _SENTENCE_END.split(_SLOT.sub(" # ", prompt.lower()))
    return tuple(words for one in sentences if (words := tuple(re.findall(r"\w+|#", one))))


def grams(words: Words) -> set[int]:
    """Hashes of all runs of `GRAM` words; of fewer words, the one of all of them."""
    if not words:
        return set()
    last = max(len(words) - GRAM, 0)
    return {hash(words[start : start + GRAM]) for start in range(last + 1)}


def leakage(tasks: Iterable[TaskSpec]) -> tuple[str, ...]:
    """Return what train and test share, in sentences; empty where they share nothing."""
    splits: dict[str, set[str]] = defaultdict(set)
    prompts: dict[tuple[str, str, tuple[Words, ...]], int] = defaultdict(int)
    for task in tasks:
        splits[task.group].add(task.split)
        prompts[task.group, task.split, masked_sentences(task.prompt)] += 1
    said = _frame((group, sentences) for group, _, sentences in prompts)
    wordings: dict[str, dict[Words, int]] = defaultdict(lambda: defaultdict(int))
    by_group: dict[str, set[int]] = defaultdict(set)
    for (group, split, sentences), count in prompts.items():
        words = tuple(word for one in sentences if one not in said for word in one)
        wordings[split][words] += count
        by_group[group] |= grams(words)
    frame = _frame(by_group.items())
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


def _frame(said: Iterable[tuple[str, Iterable[Part]]]) -> set[Part]:
    """What many groups say; of few groups, nothing can be told to be a frame."""
    by_group: dict[str, set[Part]] = defaultdict(set)
    for group, parts in said:
        by_group[group].update(parts)
    common = Counter(part for own in by_group.values() for part in own)
    fewest = max(COMMON * len(by_group), 5)
    return {part for part, count in common.items() if count >= fewest}


def _alike(train: dict[Words, int], held_out: dict[Words, int], frame: set[int]) -> tuple[int, int]:
    known = {gram for words in train for gram in grams(words)} - frame
    alike = 0
    for words, count in held_out.items():
        own = grams(words) - frame
        if own and len(own & known) >= MOST_SHARED * len(own):
            alike += count
    return alike, sum(held_out.values())
