# ruff: noqa: E501 — what prompts say stays whole
"""Plots, checked by the state of their axes: what is drawn is submitted, not a picture."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from benchside.suites.cohorts.estimators import kaplan_meier
from benchside.suites.oncology.cohort import OUTCOMES, draw_cohort, follow_up, followed
from benchside.suites.oncology.mutated import RULE, has
from benchside.suites.oncology.question import Answer, Maker, Question, script
from benchside.suites.oncology.study import SYMBOLS, Study
from benchside.suites.oncology.variants import BURDEN, BURDEN_SOURCE, burdens

STATE = "Draw it with matplotlib, and submit what the axes then hold"


def curve(rng: Generator, study: Study) -> Question | None:
    """A Kaplan-Meier curve as steps."""
    cohort = draw_cohort(rng, study)
    outcome = "OS" if rng.random() < 0.5 else "PFS"
    _, months, events = followed(cohort, outcome)
    found = kaplan_meier(months, events)
    if not 8 <= len(found.times) <= 150:
        return None
    label = f"Months ({outcome})"
    return Question(
        f'Plot the Kaplan-Meier curve of {OUTCOMES[outcome]} of {cohort.words}, with "{label}" on the x '
        "axis: one line of steps (drawstyle steps-post) through (0, 1) and each time of an event with the "
        "survival just after it. Times are in months; a status that starts with 1 is an event; leave out "
        f'unknown times. {STATE}: "x" and "y" of the line, and the label of the x axis as "xlabel".',
        Answer({"x": "numbers", "y": "numbers", "xlabel": "text"}),
        {"x": [0.0, *found.times.tolist()], "y": [1.0, *found.survival.tolist()], "xlabel": label},
        script(
            cohort.source, follow_up(outcome),
            f"""
            from lifelines import KaplanMeierFitter
            fit = KaplanMeierFitter().fit(known["{outcome}_MONTHS"], known["event"])
            at = [0.0, *fit.event_table.index[fit.event_table["observed"] > 0]]
            """,
            f"""
            import matplotlib.pyplot as plt
            figure, axes = plt.subplots()
            line, = axes.plot(at, fit.survival_function_at_times(at), drawstyle="steps-post")
            axes.set_xlabel("{label}")
            submit({{
                "x": line.get_xdata().tolist(), "y": line.get_ydata().tolist(),
                "xlabel": axes.get_xlabel(),
            }})
            """,
        ),
    )  # fmt: skip


def bars(rng: Generator, study: Study) -> Question | None:
    """The most frequently mutated genes as bars."""
    cohort, count = draw_cohort(rng, study), int(rng.integers(4, 9))
    found = {gene: 100 * float(has(cohort, gene).mean()) for gene in SYMBOLS}
    ordered = sorted(SYMBOLS, key=lambda gene: -found[gene])
    heights = [found[gene] for gene in ordered[: count + 1]]
    if len(set(heights)) < len(heights):
        return None
    return Question(
        f"Plot a bar chart of the {count} genes mutated in the largest percentage of the samples of "
        f"{cohort.words}, from left to right by falling percentage. {RULE} Count samples whatever their "
        f'panel. {STATE}: the tick labels as "genes", and the "heights" of the bars in percent.',
        Answer({"genes": "texts", "heights": "numbers"}),
        {"genes": ordered[:count], "heights": heights[:count]},
        script(
            cohort.source,
            f"""
            coding = data_mutations[data_mutations["Variant_Classification"] != "Silent"]
            coding = coding[coding["Tumor_Sample_Barcode"].isin(cohort["SAMPLE_ID"])]
            counts = coding.groupby("Hugo_Symbol")["Tumor_Sample_Barcode"].nunique()
            percent = 100 * counts.sort_values(ascending=False)[:{count}] / len(cohort)
            """,
            """
            import matplotlib.pyplot as plt
            figure, axes = plt.subplots()
            drawn = axes.bar(percent.index, percent)
            submit({
                "genes": [tick.get_text() for tick in axes.get_xticklabels()],
                "heights": [bar.get_height() for bar in drawn],
            })
            """,
        ),
    )  # fmt: skip


def histogram(rng: Generator, study: Study) -> Question | None:
    """The burden in bins."""
    cohort = draw_cohort(rng, study)
    values = burdens(study, cohort.ids, cohort.of("GENE_PANEL"))
    width = float(rng.choice([1.5, 2.5, 3.5]))
    last = int(np.ceil((values.max() + 0.01) / width))
    if not 4 <= last <= 40:
        return None
    edges = [width * one for one in range(last + 1)]
    counts = [int(((values >= low) & (values < low + width)).sum()) for low in edges[:-1]]
    return Question(
        f"Plot a histogram of the mutational burden of {cohort.words}, in bins of {width:g} per Mb from 0 "
        f"to {edges[-1]:g}, each with its lower edge. {BURDEN} {STATE}: the \"heights\" of the bars from "
        'left to right, and the number of samples drawn as "n".',
        Answer({"heights": "numbers", "n": "integer"}), {"heights": counts, "n": len(values)},
        script(
            cohort.source, BURDEN_SOURCE,
            f"""
            import matplotlib.pyplot as plt
            figure, axes = plt.subplots()
            axes.hist(burden, bins=[{width:g} * edge for edge in range({last + 1})])
            heights = [bar.get_height() for bar in axes.patches]
            submit({{"heights": heights, "n": int(sum(heights))}})
            """,
        ),
    )  # fmt: skip


def boxes(rng: Generator, study: Study) -> Question | None:
    """Box plots of a gene's expression by subtype: the medians."""
    gene = SYMBOLS[int(rng.integers(len(SYMBOLS)))]
    samples = study.columns["data_clinical_sample"]
    known = dict(zip(samples["SAMPLE_ID"].tolist(), samples["SUBTYPE"].tolist(), strict=True))
    kinds = np.array([known[one] for one in study.samples["data_expression"]])
    values = study.matrices["data_expression"][SYMBOLS.index(gene)]
    medians = {one: float(np.quantile(values[kinds == one], 0.5)) for one in set(kinds.tolist())}
    ordered = sorted(medians, key=lambda one: medians[one])
    if len({round(one, 6) for one in medians.values()}) < len(medians) or len(medians) < 2:
        return None
    return Question(
        f"Plot the expression of {gene} by subtype as box plots, from left to right by rising median (all "
        f"samples of `data_expression`, metastases too). {STATE}: the tick labels as \"subtypes\", and the "
        'heights of the median lines as "medians".',
        Answer({"subtypes": "texts", "medians": "numbers"}),
        {"subtypes": ordered, "medians": [medians[one] for one in ordered]},
        script(
            f"""
            values = data_expression.set_index("Hugo_Symbol").loc["{gene}"]
            subtype = data_clinical_sample.set_index("SAMPLE_ID")["SUBTYPE"].reindex(values.index)
            groups = values.groupby(subtype)
            order = groups.median().sort_values().index
            """,
            """
            import matplotlib.pyplot as plt
            figure, axes = plt.subplots()
            drawn = axes.boxplot([groups.get_group(one) for one in order])
            axes.set_xticks(range(1, len(order) + 1), order)
            submit({
                "subtypes": [tick.get_text() for tick in axes.get_xticklabels()],
                "medians": [float(line.get_ydata()[0]) for line in drawn["medians"]],
            })
            """,
        ),
    )  # fmt: skip


MAKERS: dict[str, Maker] = {
    "figures/survival curve": curve,
    "figures/bars": bars,
    "figures/histogram": histogram,
    "figures/boxes": boxes,
}
