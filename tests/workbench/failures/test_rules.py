"""Facts of code and the pairing of conditions, on hand-made pairs."""

import pytest

from benchside.failures.answer import _differences
from benchside.failures.facts import Facts, facts_of
from benchside.failures.lineage import lineage
from benchside.failures.measure import Accuracy, accuracy, accuracy_lines
from benchside_kernels.cell import CellResult


def facts(*sources: str) -> Facts:
    cells = [CellResult(f"cell-{n:03d}", source, "ok", (), 0.0) for n, source in enumerate(sources)]
    return facts_of(lineage(cells))


def query(sql: str) -> Facts:
    return facts(f'rows = con.execute("""{sql}""").fetchall()', "submit(rows[0][0])")


def test_a_slice_holds_what_the_answer_follows_from_and_nothing_else() -> None:
    cells = [
        CellResult(f"cell-{n}", source, "ok", (), 0.0)
        for n, source in enumerate(
            ["%matplotlib inline\nunused = lung['sex']", "a = lung['age']\nb = 3", "rows = []",
             "rows.append(a.mean())", "print(b)", "x = rows[0]\nsubmit(x)"]
        )
    ]  # fmt: skip
    taken = [step.cell_id for step in lineage(cells)]
    assert taken == ["cell-1", "cell-2", "cell-3", "cell-5", "cell-5"]
    assert facts_of(lineage(cells)).tables == {"lung"}
    stated = [*cells[:4], CellResult("cell-9", "submit(62)", "ok", (), 0.0)]
    assert [step.cell_id for step in lineage(stated)][-2:] == ["cell-3", "cell-9"]
    assert lineage([CellResult("cell-1", "submit(", "error", (), 0.0)]) == []


BASE = (
    "SELECT AVG(e.valuenum) FROM labevents e JOIN d_labitems d ON d.itemid = e.itemid "
    "WHERE d.label = 'glucose' AND e.charttime >= '2105-03-01' AND e.subject_id = 7"
)


@pytest.mark.parametrize(
    ("old", "new", "kinds"),
    [
        ("labevents e", "labevents AS ev", []),
        ("labevents", "chartevents", ["wrong table"]),
        ("e.valuenum", "e.hadm_id", ["wrong column"]),
        ("'glucose'", "'sodium'", ["wrong filter"]),
        (" AND e.subject_id = 7", "", ["wrong filter"]),
        ("AND e.subject_id = 7", "AND e.subject_id = 8", ["wrong filter"]),
        ("e.subject_id = 7", "e.hadm_id = 7", ["wrong column"]),
        (">=", ">", ["off-by-one window"]),
        ("'2105-03-01'", "'2105-03-02'", ["off-by-one window"]),
        ("'2105-03-01'", "'2105-04-01'", ["wrong filter"]),
        ("AVG", "MAX", ["wrong calculation"]),
    ],
)
def test_one_change_is_one_difference(old: str, new: str, kinds: list[str]) -> None:
    changed = BASE.replace(old, new)
    if new == "labevents AS ev":
        changed = changed.replace(" e.", " ev.").replace("(e.", "(ev.")
    found = _differences(query(changed), query(BASE))
    assert [kind for kind, _ in found] == kinds


def test_differences_of_frames() -> None:
    base = facts("old = lung[lung['age'] > 60]", "submit(old['time'].mean())")
    other = facts("old = lung[lung['age'] > 65]", "submit(old['time'].mean())")
    strict = facts("old = lung[60 <= lung['age']]", "submit(old['time'].mean())")
    column = facts("old = lung[lung['age'] > 60]", "submit(old['wt.loss'].mean())")
    assert [kind for kind, _ in _differences(other, base)] == ["wrong filter"]
    assert [kind for kind, _ in _differences(strict, base)] == ["off-by-one window"]
    assert [kind for kind, _ in _differences(column, base)] == ["wrong column"]
    assert list(_differences(base, base)) == []


def test_accuracy_is_counted_by_episodes() -> None:
    measured = accuracy(
        [({"wrong unit"}, {"wrong unit"}), ({"wrong unit"}, set()), (set(), {"wrong unit"}),
         ({"wrong unit"}, {"wrong unit", "wrong filter"})]
    )  # fmt: skip
    assert measured["wrong unit"] == Accuracy(found=2, false=1, missed=1)
    assert measured["wrong unit"].precision == measured["wrong unit"].recall == 2 / 3
    assert measured["wrong filter"].recall is None
    assert "| wrong unit | 2/3 = 67% (21–94) | 2/3 = 67% (21–94) |" in accuracy_lines(measured)
