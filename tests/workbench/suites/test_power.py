"""Suite `power`: published reference values, structure, solutions by the second route, slips."""

import dataclasses
import math
import re
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.integrate import quad
from scipy.special import ndtr
from scipy.stats import chi, t

from benchside.graders import grade, validate_task
from benchside.suite import BuildOptions, SuiteBuild, SuiteManifest
from benchside.suites.power import build
from benchside.suites.power.designs import DESIGNS
from benchside.suites.power.designs.clusters import anova_icc
from benchside.suites.power.formulas import (
    association,
    clusters,
    means,
    proportions,
    survival,
)
from benchside.suites.power.pilots import make_pilots, take_sample
from benchside.suites.power.questions import pose
from benchside.suites.power.solve import detectable_effect, smallest_n
from benchside.suites.power.study import Draw, RejectedError
from benchside.task import AnswerKey, TaskSpec
from benchside_kernels.image import build_image
from benchside_kernels.submission import encode

MANIFEST = SuiteManifest.model_validate(
    yaml.safe_load((Path(__file__).parents[3] / "task_specs" / "power" / "suite.yaml").read_text())
)


def make(size: int | None = None, seed: int = 0) -> SuiteBuild:
    return build(BuildOptions(MANIFEST, data=None, scratch=Path(), seed=seed, size=size))


@pytest.fixture(scope="module")
def suite() -> SuiteBuild:
    return make(MANIFEST.size)


def pairs(suite: SuiteBuild) -> list[tuple[TaskSpec, AnswerKey]]:
    return list(zip(suite.tasks, suite.keys, strict=True))


def run(suite: SuiteBuild, cells: tuple[str, ...]) -> object:
    """Run cells as a kernel would and return what they submit."""
    submitted: list[object] = []
    namespace: dict[str, object] = {**suite.images[0].variables, "submit": submitted.append}
    for source in (*suite.images[0].imports, *cells):
        exec(source, namespace)
    (value,) = submitted
    return value


def passes(suite: SuiteBuild, task: TaskSpec, key: AnswerKey, cells: tuple[str, ...]) -> bool:
    return grade(task, key, encode(run(suite, cells))).passed


# --- reference values ---------------------------------------------------------------------------

TWO_SIDED = {"alpha": 0.05, "sides": 2}
REFERENCE_SIZES = [
    # Cohen 1988, table 2.4.1: d = 0.5, power 0.80 → 64 per group
    (lambda n: means.two_sample_t(n, ratio=1, difference=0.5, sd=1, **TWO_SIDED), 0.8, 64),
    # Cohen 1988, example 2.10 in the documentation of R's pwr: d = 0.3, one-sided → 120.2
    (
        lambda n: means.two_sample_t(n, ratio=1, difference=0.3, sd=1, alpha=0.05, sides=1),
        0.75,
        121,
    ),
    # statsmodels' and G*Power's one-sample reference: d = 0.5 → 33.4
    (lambda n: means.one_sample_t(n, difference=0.5, sd=1, **TWO_SIDED), 0.8, 34),
    # Cohen 1988, table 8.4: four groups, f = 0.25 → 45 per group
    (lambda n: means.anova(n, groups=4, effect=0.25, alpha=0.05), 0.8, 45),
    # Chow, Shao and Wang 2008, 3.2.4: margin 0.05, sd 0.10 → 50 per group
    (
        lambda n: means.noninferiority(n, ratio=1, margin=0.05, difference=0, sd=0.1, alpha=0.05),
        0.8,
        50,
    ),
    # by hand: 2 (1.644854 + 1.281552)² / 0.5² = 68.51 (no true difference: z of power 0.9)
    (lambda n: means.equivalence(n, margin=0.5, difference=0, sd=1, alpha=0.05), 0.8, 69),
    # Diletti, Hauschke and Steinijans 1991, table 1 (as PowerTOST): CV 20, 25, 30%, ratio 0.95
    # → 20, 28 and 40 subjects in total
    (lambda n: means.bioequivalence(n, ratio=0.95, cv=0.20, alpha=0.05), 0.8, 10),
    (lambda n: means.bioequivalence(n, ratio=0.95, cv=0.25, alpha=0.05), 0.8, 14),
    (lambda n: means.bioequivalence(n, ratio=0.95, cv=0.30, alpha=0.05), 0.8, 20),
    # by hand: (1.959964 √0.21 + 0.841621 √0.25)² / 0.2² = 43.49
    (lambda n: proportions.one_proportion(n, null=0.3, true=0.5, **TWO_SIDED), 0.8, 44),
    # Fleiss, Levin and Paik 2003, table A.4: 0.25 and 0.40 → 165 with continuity correction, of
    # which 152 without; Chow et al. 2008, 4.2.4: 0.85 and 0.65 unpooled → 70; Cohen 1988,
    # table 6.4.1: h = 0.50 → 63
    (
        lambda n: proportions.two_proportions(
            n, ratio=1, p1=0.25, p2=0.4, by="continuity", **TWO_SIDED
        ),
        0.8,
        165,
    ),
    (
        lambda n: proportions.two_proportions(
            n, ratio=1, p1=0.25, p2=0.4, by="pooled", **TWO_SIDED
        ),
        0.8,
        152,
    ),
    (
        lambda n: proportions.two_proportions(
            n, ratio=1, p1=0.85, p2=0.65, by="unpooled", **TWO_SIDED
        ),
        0.8,
        70,
    ),
    (
        lambda n: proportions.two_proportions(
            n,
            ratio=1,
            p1=math.sin(math.asin(math.sqrt(0.3)) + 0.25) ** 2,
            p2=0.3,
            by="arcsine",
            **TWO_SIDED,
        ),
        0.8,
        63,
    ),
    # Chow et al. 2008, 4.2.4: 0.85 and 0.65, margin 0.10 → 25
    (
        lambda n: proportions.noninferiority(
            n, ratio=1, new=0.85, standard=0.65, margin=0.1, alpha=0.05
        ),
        0.8,
        25,
    ),
    # by hand after Connor: (1.959964 √0.4 + 0.841621 √0.36)² / 0.2² = 76.09
    (lambda n: proportions.mcnemar(n, difference=0.2, discordant=0.4, **TWO_SIDED), 0.8, 77),
    # Hulley et al. 2013, table 6C: r = 0.30 → 85
    (lambda n: association.correlation(n, true=0.3, null=0, **TWO_SIDED), 0.8, 85),
    # by hand: Schoenfeld 4 (1.959964 + 0.841621)² / log(2)² = 65.35, Freedman 9 × 7.8489 = 70.64
    (lambda n: survival.schoenfeld(n, share=0.5, hazard_ratio=0.5, **TWO_SIDED), 0.8, 66),
    (lambda n: survival.freedman(n, hazard_ratio=0.5, **TWO_SIDED), 0.8, 71),
    # Hsieh and Lavori 2000, myeloma: log HR 1, sd 0.3126, one-sided → 64 events
    (
        lambda n: survival.cox(
            n, hazard_ratio=math.e, sd=0.3126, r_squared=0, event_share=1, alpha=0.05, sides=1
        ),
        0.8,
        64,
    ),
    # by hand: 2 × 7.848879 / 0.25² × (1 + 19 × 0.05) / 20 = 24.49
    (
        lambda n: clusters.cluster_means(
            n, size=20, icc=0.05, size_cv=0, difference=0.25, sd=1, **TWO_SIDED
        ),
        0.8,
        25,
    ),
    # by hand: 7.848879 × (0.21 + 0.16) / 0.01 × 1.95 / 20 = 28.32
    (
        lambda n: clusters.cluster_proportions(
            n, size=20, icc=0.05, size_cv=0, p1=0.3, p2=0.2, **TWO_SIDED
        ),
        0.8,
        29,
    ),
]


@pytest.mark.parametrize(("power", "target", "expected"), REFERENCE_SIZES)
def test_sizes_agree_with_published_ones(power, target, expected):
    assert smallest_n(power, target, start=5) == expected


def test_powers_agree_with_published_ones():
    # Cohen 1988, exercise 2.5 in the documentation of R's pwr
    power = means.one_sample_t(60, difference=0.2, sd=1, alpha=0.10, sides=2)
    assert power == pytest.approx(0.4555818, abs=1e-6)
    # PowerTOST, power.TOST(CV = 0.3, theta0 = 0.95, n = 40) and (CV = 0.25, n = 28)
    power = means.bioequivalence(20, ratio=0.95, cv=0.30, alpha=0.05)
    assert power == pytest.approx(0.815845, abs=1e-6)
    power = means.bioequivalence(14, ratio=0.95, cv=0.25, alpha=0.05)
    assert power == pytest.approx(0.807439, abs=1e-6)


@pytest.mark.parametrize(("noncentrality", "df"), [(0.8, 7), (2.5, 18), (3.4, 240)])
def test_t_power_agrees_with_the_definition_of_the_test(noncentrality, df):
    # P(Z + nc > c S) + P(Z + nc < -c S) with S² ~ χ²(df)/df, integrated over S
    critical, scale = t.isf(0.025, df), chi(df, scale=1 / math.sqrt(df))

    def rejected(s):
        tails = ndtr(noncentrality - critical * s) + ndtr(-noncentrality - critical * s)
        return tails * scale.pdf(s)

    expected = quad(rejected, scale.ppf(1e-13), scale.isf(1e-13), epsabs=1e-11)[0]
    assert means.t_power(noncentrality, df, 0.05, 2) == pytest.approx(expected, abs=1e-9)


def test_parts_by_hand():
    # 1 - (e^-0.1 - e^-0.3) / 0.2
    assert survival.event_probability(0.1, 2, 1) == pytest.approx(0.1799040, abs=1e-6)
    assert clusters.design_effect(20, 0.05) == pytest.approx(1.95)
    assert clusters.design_effect(20, 0.05, 0.5) == pytest.approx(2.2)
    assert means.cohen_f((1.0, 2.0, 3.0), 2.0) == pytest.approx(math.sqrt(2 / 3) / 2)
    # three clusters of two: MSB = 8, MSW = 2, so that ICC = (8 - 2) / (8 + 2)
    frame = make_icc_frame([(9, 11), (11, 13), (13, 15)])
    assert anova_icc(frame, "y") == pytest.approx(0.6)
    power = lambda d: means.two_sample_t(64, ratio=1, difference=d, sd=1, **TWO_SIDED)  # noqa: E731
    assert detectable_effect(power, power(0.5), (1e-6, 9)) == pytest.approx(0.5, abs=1e-9)


def make_icc_frame(groups):
    rows = [(number, value) for number, group in enumerate(groups) for value in group]
    return pd.DataFrame(rows, columns=["cluster", "y"]).astype({"y": float})


T_BASE = {"ratio": 1, "difference": 5.0, "sd": 12.0, "alpha": 0.05, "sides": 2}
COX_BASE = {
    "hazard_ratio": 1.4,
    "sd": 1.0,
    "r_squared": 0.2,
    "event_share": 0.4,
    "alpha": 0.05,
    "sides": 2,
}
CLUSTER_BASE = {
    "size": 20,
    "icc": 0.05,
    "size_cv": 0.3,
    "difference": 2.0,
    "sd": 12.0,
    "alpha": 0.05,
    "sides": 2,
}
RESPONSES = [
    (means.two_sample_t, T_BASE, {"difference": 6.0, "alpha": 0.1, "ratio": 2, "sides": 1}, 1),
    (means.two_sample_t, T_BASE, {"sd": 14.0, "alpha": 0.01}, -1),
    (
        means.anova,
        {"groups": 3, "effect": 0.3, "alpha": 0.05},
        {"effect": 0.4, "groups": 4, "alpha": 0.1},
        1,
    ),
    (
        means.noninferiority,
        {"ratio": 1, "margin": 3.0, "difference": 0.0, "sd": 10.0, "alpha": 0.05},
        {"margin": 4.0, "difference": 1.0, "ratio": 2, "alpha": 0.1},
        1,
    ),
    (
        means.equivalence,
        {"margin": 6.0, "difference": 1.0, "sd": 10.0, "alpha": 0.05},
        {"difference": 2.0, "sd": 12.0, "margin": 5.0, "alpha": 0.025},
        -1,
    ),
    (
        means.bioequivalence,
        {"ratio": 0.95, "cv": 0.35, "alpha": 0.05},
        {"ratio": 0.93, "cv": 0.4, "alpha": 0.025},
        -1,
    ),
    (
        proportions.two_proportions,
        {"ratio": 1, "p1": 0.2, "p2": 0.4, "alpha": 0.05, "sides": 2, "by": "pooled"},
        {"p2": 0.45, "p1": 0.15, "ratio": 2, "alpha": 0.1, "sides": 1},
        1,
    ),
    (
        proportions.mcnemar,
        {"difference": 0.1, "discordant": 0.3, "alpha": 0.05, "sides": 2},
        {"discordant": 0.4, "difference": 0.08, "alpha": 0.01},
        -1,
    ),
    (
        association.correlation,
        {"true": 0.3, "null": 0.0, "alpha": 0.05, "sides": 2},
        {"true": 0.25, "null": 0.1, "alpha": 0.01},
        -1,
    ),
    (survival.cox, COX_BASE, {"hazard_ratio": 1.5, "sd": 1.2, "event_share": 0.5, "sides": 1}, 1),
    (survival.cox, COX_BASE, {"r_squared": 0.3, "alpha": 0.01}, -1),
    (
        survival.schoenfeld,
        {"share": 0.5, "hazard_ratio": 0.7, "alpha": 0.05, "sides": 2},
        {"share": 0.25, "hazard_ratio": 0.8, "alpha": 0.01},
        -1,
    ),
    (clusters.cluster_means, CLUSTER_BASE, {"difference": 2.5, "size": 30, "alpha": 0.1}, 1),
    (clusters.cluster_means, CLUSTER_BASE, {"icc": 0.1, "size_cv": 0.6, "sd": 14.0}, -1),
]


@pytest.mark.parametrize(("power", "base", "changes", "sign"), RESPONSES)
def test_power_responds_to_every_parameter_in_the_right_direction(power, base, changes, sign):
    usual = power(40, **base)
    assert 0.02 < usual < 0.98
    assert power(45, **base) > usual + 1e-3
    for name, value in changes.items():
        changed = power(40, **{**base, name: value})
        assert sign * (changed - usual) > 1e-3, name


# --- structure ----------------------------------------------------------------------------------


def test_suite_is_complete_and_split_by_group(suite):
    assert len(suite.tasks) == MANIFEST.size == suite.counts["tasks"]
    assert len({task.task_id for task in suite.tasks}) == len(suite.tasks)
    assert len({task.prompt for task in suite.tasks}) == len(suite.tasks)
    splits = defaultdict(set)
    for task, key in pairs(suite):
        splits[task.group].add(task.split)
        assert task.task_id == key.task_id
        assert task.image == suite.images[0].name
        assert 2 <= len(key.solution) <= 3
        validate_task(task, key)
    assert {len(found) for found in splits.values()} == {1}
    in_test = {task.category.split("/")[0] for task in suite.tasks if task.split == "test"}
    assert in_test == {design.name for design in DESIGNS}
    assert len(in_test) == 16
    categories = {task.category for task in suite.tasks}
    assert categories == {f"{d.name}/{q}" for d in DESIGNS for q in d.questions}


def test_prompts_are_well_formed(suite):
    for task in suite.tasks:
        assert not re.search(r"[{}]|,,|\.\.|\bnan\b|  |None", task.prompt), task.prompt
        assert (
            "one-sided" in task.prompt
            or "two-sided" in task.prompt
            or task.category.startswith(("one-way-anova", "equivalence", "bioequivalence"))
        )


def test_scenario_names_are_unique():
    keys = [wording.key for design in DESIGNS for wording in design.wordings]
    assert len(keys) == len(set(keys)) == 80


def test_constants_do_not_solve_it(suite):
    integers = [key.value for task, key in pairs(suite) if task.answer.kind == "integer"]
    assert Counter(integers).most_common(1)[0][1] <= len(suite.tasks) // 100
    by_category = defaultdict(list)
    for task, key in pairs(suite):
        by_category[task.category].append(key.value)
    for category, values in by_category.items():
        assert len(set(values)) >= 0.8 * len(values), category
    powers = [v for c, values in by_category.items() if c.endswith("/power") for v in values]
    assert 0.2 <= min(powers) < 0.3
    assert 0.95 < max(powers) <= 0.99
    assert np.ptp(np.quantile(powers, [0.2, 0.8])) > 0.35


def test_builds_are_deterministic_and_differ_by_seed():
    first, again, other = make(64), make(64), make(64, seed=1)
    assert (first.tasks, first.keys) == (again.tasks, again.keys)
    for name, frame in first.images[0].variables["pilots"].items():
        assert frame.equals(again.images[0].variables["pilots"][name])
    assert not {t.prompt for t in first.tasks} & {t.prompt for t in other.tasks}
    assert not {t.task_id for t in first.tasks} & {t.task_id for t in other.tasks}


# --- pilot data ---------------------------------------------------------------------------------


def test_pilot_data_are_needed_and_reach_the_kernel(suite, tmp_path):
    using = [(task, key) for task, key in pairs(suite) if "pilots[" in task.prompt]
    assert len(using) == suite.counts["tasks with pilot data"] >= len(suite.tasks) / 4
    loaded = build_image(suite.images[0], tmp_path).load_variables()["pilots"]
    for task, key in using:
        name = re.search(r'pilots\["(.+?)"\]', task.prompt)[1]
        assert task.group.endswith(f"/{name}")
        assert f'pilots["{name}"]' in key.solution[0]
        for column in re.findall(r"columns? `(\w+)`", task.prompt):
            assert column in loaded[name].columns
        assert loaded[name].isna().to_numpy().any()
    for task, key in pairs(suite):
        assert ("pilots[" in task.prompt) == ("pilots[" in key.solution[0])


def test_other_pilot_data_give_other_answers(suite):
    image = dataclasses.replace(suite.images[0], variables={"pilots": make_pilots(DESIGNS, 99)})
    other = dataclasses.replace(suite, images=[image])
    using = [(t, k) for t, k in pairs(suite) if "pilots[" in t.prompt and t.split == "valid"]
    failed = [not passes(other, task, key, key.solution) for task, key in using]
    assert len(using) > 20
    assert sum(failed) >= 0.9 * len(failed)


# --- solutions ----------------------------------------------------------------------------------


def solved(suite: SuiteBuild, chosen: list[tuple[TaskSpec, AnswerKey]]) -> list[str]:
    return [t.task_id for t, key in chosen if not passes(suite, t, key, key.solution)]


def test_two_solutions_per_design_pass(suite):
    chosen = defaultdict(list)
    for task, key in reversed(pairs(suite)):
        if len(chosen[task.category.split("/")[0]]) < 2:
            chosen[task.category.split("/")[0]].append((task, key))
    assert solved(suite, [pair for found in chosen.values() for pair in found]) == []


@pytest.mark.parametrize("design", [d for d in DESIGNS if d.pilot], ids=lambda d: d.name)
def test_every_question_can_be_asked_with_pilot_data(suite, design):
    wording, pilots = design.wordings[1], suite.images[0].variables["pilots"]
    for question in design.questions:
        posed = None
        for number in range(40):
            draw = Draw(np.random.default_rng([7, number]))
            try:
                sample = take_sample(draw, wording.key, pilots[wording.key])
                study = design.plan(draw, wording, sample)
                posed = pose(draw, study, question, story="", style=1, sample=sample)
            except RejectedError:
                continue
            break
        assert posed is not None, question
        assert ("pilots[" in posed.prompt) == ("pilots[" in posed.solution[0])
        assert run(suite, posed.solution) == pytest.approx(posed.gold, rel=1e-4, abs=1e-4)


@pytest.mark.slow
def test_all_default_solutions_pass(suite):
    assert solved(suite, pairs(suite)) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_five_thousand_tasks_are_distinct():
    large = make(5000)
    assert len({task.prompt for task in large.tasks}) == 5000
    integers = Counter(k.value for t, k in pairs(large) if t.answer.kind == "integer")
    assert integers.most_common(1)[0][1] <= 50
    assert solved(large, pairs(large)[:5000:25]) == []


def test_solutions_do_not_contain_the_answer(suite):
    for task, key in pairs(suite):
        if task.answer.kind == "number":
            digits = f"{key.value:.4g}".lstrip("0.")
            assert len(digits) < 4 or digits not in "".join(key.solution), task.task_id


def test_disagreeing_routes_drop_a_task():
    (design,) = (d for d in DESIGNS if d.name == "two-sample-t")
    for question in design.questions:
        for number in range(3):
            draw = Draw(np.random.default_rng([5, number]))
            study = design.plan(draw, design.wordings[0], None)
            wrong = dataclasses.replace(
                study, check=lambda n, e, study=study: study.power(n, e) + 1e-5
            )
            with pytest.raises(RejectedError, match="second route disagrees"):
                pose(draw, wrong, question, story="", style=0, sample=None)


# --- planted slips ------------------------------------------------------------------------------


def slipped(suite, wanted, old, new, at_least):
    """Change the solutions of the wanted tasks; return the share that then fails."""
    outcomes = []
    for task, key in pairs(suite):
        cells = tuple(source.replace(old, new) for source in key.solution)
        if wanted(task, key) and cells != key.solution:
            outcomes.append(not passes(suite, task, key, cells))
            if len(outcomes) == 30:
                break
    assert len(outcomes) >= at_least, (old, len(outcomes))
    return sum(outcomes) / len(outcomes)


def quick(task: TaskSpec, key: AnswerKey) -> bool:
    return not task.category.startswith(("bioequivalence", "equivalence"))


def named(task: TaskSpec, key: AnswerKey) -> bool:
    return quick(task, key) and not task.category.startswith(("one-way", "noninferiority"))


def test_wrong_number_of_sides_fails(suite):
    assert slipped(suite, named, "sides = 2", "sides = 1", 30) == 1
    assert slipped(suite, named, "sides = 1", "sides = 2", 30) == 1


def test_missing_rounding_or_dropout_fails(suite):
    # n is left as it comes out of the formula
    assert slipped(suite, quick, "n = math.ceil(", "n = (", 30) >= 0.4
    plain = slipped(
        suite, lambda t, k: quick(t, k) and "dropout" not in t.prompt, "n = math.ceil(", "n = (", 20
    )
    assert plain == 1
    assert slipped(suite, quick, "math.ceil(n / (1 - dropout))", "n", 20) == 1
    assert slipped(suite, quick, "n / (1 - dropout)", "n * (1 + dropout)", 20) >= 0.6


def test_per_group_instead_of_total_fails(suite):
    def in_total(task, key):
        return quick(task, key) and task.category.endswith("/sample-size")

    def doubled(task, key):
        return in_total(task, key) and "submit(2 * " in key.solution[-1]

    def per_group(task, key):
        return in_total(task, key) and "per group as" in task.prompt

    assert slipped(suite, doubled, "submit(2 * ", "submit(1 * ", 5) == 1
    assert slipped(suite, per_group, "submit(", "submit(2 * ", 5) == 1


def test_z_instead_of_t_fails_for_small_studies(suite):
    def small_power(task, key):
        size = re.search(r"^n = (\d+)$", key.solution[0], re.M)
        return task.category == "two-sample-t/power" and size and int(size[1]) <= 50

    assert slipped(suite, small_power, "sms.TTestIndPower", "sms.NormalIndPower", 2) == 1


def test_wrong_formula_or_ignored_parameter_fails(suite):
    def log_rank(task, key):
        return task.category == "log-rank/power"

    assert slipped(suite, log_rank, "/ event_probability(ratio)", "", 2) >= 0.5
    assert slipped(suite, quick, "design_effect = 1 +", "design_effect = 1 + 0 *", 10) == 1
    assert slipped(suite, quick, "(1 - r_squared)", "1", 5) == 1
    assert slipped(suite, quick, "variance = sd ** 2", "variance = sd", 5) == 1


def test_power_as_percent_and_rough_power_fail(suite):
    def powers(task, key):
        return task.category.endswith("/power") and quick(task, key)

    assert slipped(suite, powers, "round(float(achieved), 4)", "100 * achieved", 20) == 1
    assert slipped(suite, powers, "float(achieved), 4", "float(achieved), 1", 20) >= 0.9
    assert slipped(suite, powers, "float(achieved), 4", "float(achieved), 3", 20) <= 0.1
