"""The BioDSBench loader over a made-up study with the columns of one of its own (28472509)."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchside.batch import assign, run_batch
from benchside.errors import DataMissingError, InputError
from benchside.execution import observe
from benchside.graders import assertions_cell
from benchside.graders.assertions import AssertionsGrader
from benchside.graders.grading import build_task_grader, grade
from benchside.graders.probes import check_probes
from benchside.library import Suite, prepare
from benchside.policies import make_policy
from benchside.provenance import provenance
from benchside.store import RunConfig, RunFolder
from benchside.suites.biodsbench import code, objects
from benchside.suites.biodsbench.build import MODULES
from benchside_kernels.backend import KernelMaker
from benchside_kernels.makers import open_kernels
from benchside_kernels.session import KernelSession
from benchside_kernels.submission import encode

STUDY = "28472509"
FILE = "biodsbench/train_tasks.jsonl.gz"


# the columns of that study's tables; of `data_cna` there is one column a sample besides
COLUMNS = {
    "data_clinical_patient": (
        "PATIENT_ID YEAR_OF_DIAGNOSIS AGE SEX OS_STATUS OS_MONTHS KARNOFSKY_PERFORMANCE_SCORE "
        "TREATMENT_AT_MSK RADIATION_THERAPY PFS_MONTHS PFS_STATUS BEST_RANO_RESPONSE"
    ),
    "data_clinical_sample": (
        "SAMPLE_ID PATIENT_ID CANCER_TYPE CANCER_TYPE_DETAILED IDH_1P19Q_SUBTYPE IMPACT_1P19Q "
        "ONCOTREE_CODE INSTITUTE GENE_PANEL TMB_NONSYNONYMOUS"
    ),
    "data_mutations": (
        "Hugo_Symbol Entrez_Gene_Id Center NCBI_Build Chromosome Start_Position End_Position "
        "Strand Consequence Variant_Classification Variant_Type Reference_Allele "
        "Tumor_Seq_Allele1 Tumor_Seq_Allele2 dbSNP_RS Tumor_Sample_Barcode "
        "Matched_Norm_Sample_Barcode Mutation_Status Score Sequencer HGVSc HGVSp HGVSp_Short "
        "Transcript_ID RefSeq Protein_position Codons Hotspot"
    ),
}


def tables() -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(5)
    ids = [f"p_{n:02d}" for n in range(24)]
    known: dict[str, dict[str, Any]] = {
        "data_clinical_patient": {
            "PATIENT_ID": ids,
            "SEX": rng.choice(["Male", "Female"], 24),
            "AGE": rng.integers(24, 81, 24),
            "OS_MONTHS": rng.exponential(20, 24).round(2),
            "OS_STATUS": rng.choice(["0:LIVING", "1:DECEASED"], 24),
        },
        "data_clinical_sample": {"SAMPLE_ID": [f"s_{n}" for n in range(24)], "PATIENT_ID": ids},
        "data_mutations": {
            "Hugo_Symbol": rng.choice(["TP53", "KRAS", "APC"], 60),
            "Tumor_Sample_Barcode": [f"s_{n}" for n in rng.integers(0, 24, 60)],
            "Variant_Classification": rng.choice(["Missense_Mutation", "Silent"], 60),
        },
    }
    frames = {
        name: pd.DataFrame(columns, columns=COLUMNS[name].split())
        for name, columns in known.items()
    }
    copies = rng.integers(-2, 3, (3, 24))
    cna = pd.DataFrame(copies, columns=[f"s_{n}" for n in range(24)])
    cna.insert(0, "Hugo_Symbol", ["TP53", "KRAS", "APC"])
    return {**frames, "data_cna": cna}


def described(frames: Mapping[str, pd.DataFrame]) -> str:
    return "\n".join(
        f"A Dataframe stored in `/workdir/{name}.csv`. Dataframe schema: A Pandas Dataframe whose "
        f"name is `{name}`. Shape is {frame.shape}. \n{frame.head().to_string()}"
        for name, frame in frames.items()
    )


READ = 'import pandas as pd\npatients = pd.read_csv("/workdir/data_clinical_patient.csv")\n'
EVENTS = 'events = patients["OS_STATUS"].str.startswith("1").astype(int)\n'
FIT = "from lifelines import KaplanMeierFitter\nkmf = KaplanMeierFitter()\n"
CURVE = READ + EVENTS + FIT + 'kmf.fit(patients["OS_MONTHS"], event_observed=events)\n'
PAIR = (
    'arms = {s: KaplanMeierFitter().fit(g["OS_MONTHS"], g["OS_STATUS"].str.startswith("1"))'
    ' for s, g in patients.groupby("SEX")}'
)


def rows(frames: Mapping[str, pd.DataFrame]) -> list[dict[str, str]]:
    patient, mutations = frames["data_clinical_patient"], frames["data_mutations"]
    total = patient["OS_MONTHS"].sum()
    deaths = int(patient["OS_STATUS"].str.startswith("1").sum())
    men = patient[patient["SEX"] == "Male"]["OS_MONTHS"].sum()
    age = patient["AGE"]
    kras = int((mutations["Hugo_Symbol"] == "KRAS").sum())
    tasks = {
        "curve": (
            CURVE,
            f"assert kmf.event_observed.sum() == {deaths}\n"
            f"assert abs(kmf.durations.sum() - {total}) < 1e-8",
        ),
        "curves": (
            READ + FIT + PAIR,
            f'assert abs(arms["Male"].durations.sum() - {men}) < 1e-8\nassert len(arms) == 2',
        ),
        "pivot": (
            READ + 'patients["DOSE"] = [250.0, 300.0] * 12\n'
            'doses = patients.pivot_table(index="SEX", columns="DOSE", values="AGE", '
            'aggfunc="sum")',
            f'assert doses.sum().sum() == {age.sum()}\nassert doses.index.name == "SEX"\n'
            f'assert doses.loc["Male", 250] + doses.loc["Female", 250] == {age[::2].sum()}',
        ),
        "series": (
            READ + 'sexes = patients["SEX"].value_counts()',
            'INPUT_DIR = "/workdir"\nimport os\n'
            'data = pd.read_csv(os.path.join(INPUT_DIR, "data_clinical_patient.csv"))\n'
            'assert sexes.equals(data["SEX"].value_counts())',
        ),
        "labelled": (
            READ + 'ages = patients.groupby("SEX")[["AGE"]].sum().rename_axis(None)',
            f'assert ages.loc["Male", "AGE"] + ages.loc["Female", "AGE"] == {age.sum()}\n'
            'assert ages.loc["Male", "AGE"] != ages.loc["Female", "AGE"]',
        ),
        "scalars": (
            "import os\n" + READ.replace('"/workdir/data_clinical_patient.csv"',
            'os.path.join(INPUT_DIR, "data_clinical_patient.txt"), sep="\\t"')
            + 'os = patients["AGE"].median()\n'
            'span = (patients["AGE"].min(), patients["AGE"].max())',
            f"assert abs(os - {age.median()}) < 1e-8\n"
            f"assert span == ({age.min()}, {age.max()})",
        ),
        "bars": (
            "import matplotlib.pyplot as plt\n"
            'counts = data_mutations["Hugo_Symbol"].value_counts()\n'
            "bars = plt.bar(counts.index, counts)\nplt.show()",
            f"assert {kras} in [bar.get_height() for bar in bars]\n"
            "assert sum(bar.get_height() for bar in bars) == len(data_mutations)",
        ),
        "history": (
            "earliest = step.sort_values().index[0]",
            "assert earliest == step.idxmin()",
        ),
        "stub": (READ + 'p = patients["AGE"].mean() / 1e9', "assert p < 1e-4"),
        "every bar": (
            "import matplotlib.pyplot as plt\n"
            'bars = plt.bar(data_clinical_patient["PATIENT_ID"], data_clinical_patient["AGE"])',
            "assert len(bars) == len(data_clinical_patient)",
        ),
        "fails": ("n = missing + 1", "assert n == 2"),
        "no Python": ("n = 3]", "assert n == 3"),
        "wrong": (READ + "n = len(patients)", "assert n == -1"),
        "model": ("from sklearn.svm import SVC\nm = SVC()", "assert m.C == 1"),
        "nobody's": ("n = 3", "assert m == n"),
        "nothing": ("n = 3", "assert 1 == 1"),
        "not a number": (
            READ + 'mean = patients["AGE"].mean()', f"assert not abs(mean - {age.mean()}) > 1e-8"
        ),
    }  # fmt: skip
    return [
        {
            "study_ids": STUDY, "question_ids": str(number), "queries": f"Do {name} in /workdir/.",
            "dataframes": described(frames), "reference_answer": reference, "test_cases": tests,
            "code_histories": repr(
                ['step = data_clinical_patient.set_index("PATIENT_ID")["OS_MONTHS"]']
                if name == "history" else []
            ),
        }
        for number, (name, (reference, tests)) in enumerate(tasks.items())
    ]  # fmt: skip


def folder(place: Path, lines: list[Any], frames: Mapping[str, pd.DataFrame]) -> Path:
    study = place / "biodsbench" / STUDY / "workdir"
    study.mkdir(parents=True)
    with gzip.open(place / FILE, "wt") as file:
        file.write("\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines))
    for number, (name, frame) in enumerate(frames.items()):
        frame.to_csv(study / (f"{name}.csv" + ".gz" * number), index=False)
    return place


@pytest.fixture(scope="module")
def suite(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Suite:
    frames = tables()
    lines = rows(frames)
    absent = {**lines[0], "study_ids": "25303977"}
    data = folder(tmp_path_factory.mktemp("data"), [*lines, absent], frames)
    return prepare("biodsbench", home, data=data)


def test_what_proves_something_is_kept(suite: Suite) -> None:
    assert suite.record.counts == {
        "items": 18, "tasks": 8, "studies": 1,
        "left out: the assertions hold for a stub": 3,
        "left out: the reference fails: NameError": 1,
        "left out: its code is not Python": 1,
        "left out: the assertions do not hold for the reference": 1,
        "left out: m cannot leave a kernel as data": 1,
        "left out: nobody makes m, which assertions look at": 1,
        "left out: the assertions look at nothing that the reference makes": 1,
        "left out: the study's tables are absent": 1,
    }  # fmt: skip
    categories = Counter(task.category for task in suite.tasks)
    assert categories == {"survival curves": 2, "tables": 3, "statistics": 2, "plots": 1}
    for task in suite.tasks:
        assert {task.group, task.split} == {STUDY, "train"}
        assert "assert" not in task.prompt
        assert "/workdir" not in task.prompt
        assert check_probes(task, suite.answer_key(task.task_id)) == []
    assert "An earlier step" in suite.task(f"{STUDY}-07").prompt


WRONG: dict[str, Any] = {
    "another name": {"curve": 1},
    "a constant": {"kmf": 1},
    "a forged curve": {"kmf": {"durations": [1], "event_observed": [0], "median": 7}},
    "no events": {"kmf": {"durations": [1.0, 2.0], "event_observed": [True]}},
    "half events": {"kmf": {"durations": [1.0], "event_observed": [0.5]}},
    "nobody": {"kmf": {"durations": [], "event_observed": []}},
    "other times": {"kmf": {"durations": [1.0] * 24, "event_observed": [1] * 24}},
    "code": {"kmf": {"$series": {"index": ["__import__('os').abort()"], "values": [1]}}},
    "not a tag": {"kmf": {"$pickle": "gASV"}},
    "hidden names": {"abs": 0, "len": 0, "kmf": {"durations": "x", "event_observed": "x"}},
}


async def check_objects(suite: Suite, maker: KernelMaker) -> None:
    """Right, wrong and malformed objects."""
    task = suite.task(f"{STUDY}-00")
    key = suite.answer_key(task.task_id)
    grader = build_task_grader(task, key)
    assert isinstance(grader, AssertionsGrader)
    frame = tables()["data_clinical_patient"]
    events = frame["OS_STATUS"].str.startswith("1").astype(int).tolist()
    right = {"kmf": {"durations": frame["OS_MONTHS"].tolist(), "event_observed": events}}
    image = suite.image(task)
    for name, submission in {"right": right, "no dict": [1]}.items():
        found = await observe(
            grader, submission, image=image, maker=maker, hidden=(), files=task.files
        )
        judged = grade(task, key, found)
        assert judged.passed is (name == "right"), (name, judged.evidence)
    async with KernelSession(image, files=task.files, maker=maker) as session:
        result = await session.run(f"{grader.checks([right, *WRONG.values()])})")
    assert result.submission is not None, result
    passed = [grade(task, key, {"outcomes": one}).passed for one in result.submission.value]
    assert passed == [True] + [False] * len(WRONG)


@pytest.mark.slow
async def test_in_kernels_references_solve_and_nothing_else_does(
    suite: Suite, tmp_path: Path
) -> None:
    reference = make_policy("reference", solutions=lambda t: suite.answer_key(t.task_id).solution)
    policies = [reference, make_policy("constant")]
    tasks = [suite.task(f"{STUDY}-{number:02d}") for number in (0, 2, 6, 7)]
    run = RunFolder(tmp_path / "run")
    run.start(RunConfig(suites=(), policies={}, samples=1, seed=0, provenance={}), resume=False)
    async with open_kernels(modules=MODULES) as maker:
        assignments = assign([(suite, tasks)], policies, 1, 0)
        await run_batch(assignments, run, provenance(0, maker.isolation), maker=maker, parallel=2)
        await check_objects(suite, maker)
    assert Counter((one.policy, one.outcome) for one in run.rows().values()) == {
        ("reference", "solved"): 4, ("constant", "wrong"): 4
    }  # fmt: skip


def test_what_is_wrong_with_the_data_is_said(home: Path, tmp_path: Path) -> None:
    frames = tables()
    with pytest.raises(DataMissingError, match="no BioDSBench tasks"):
        prepare("biodsbench", home, data=tmp_path)
    no_tables = folder(tmp_path / "a", rows(frames), {})
    with pytest.raises(DataMissingError, match="17 tasks were read, 0 can be run") as missing:
        prepare("biodsbench", home, data=no_tables)
    assert (
        f"biodsbench/{STUDY}/: data_clinical_patient.csv, data_clinical_sample.csv, data_cna"
        in str(missing.value)
    )
    torn = {**frames, "data_mutations": frames["data_mutations"].head(50)}
    truncated = folder(tmp_path / "b", rows(frames), torn)
    with pytest.raises(InputError, match="60 rows and 28 columns were expected"):
        prepare("biodsbench", home, data=truncated)
    bad = folder(tmp_path / "c", [rows(frames)[0], "{}"], frames)
    with pytest.raises(InputError, match="line 2, field study_ids"):
        prepare("biodsbench", home, data=bad)
    wrong = {"question_ids": "one", "code_histories": "[1", "test_cases": 5}
    for field, value in wrong.items():
        bad = folder(tmp_path / field, [{**rows(frames)[0], field: value}], frames)
        with pytest.raises(InputError, match=f"line 1, field {field}"):
            prepare("biodsbench", home, data=bad)
    (tmp_path / "d/biodsbench").mkdir(parents=True)
    (tmp_path / "d" / FILE).write_bytes((bad / FILE).read_bytes()[:80])
    with pytest.raises(InputError, match="cannot be unpacked"):
        prepare("biodsbench", home, data=tmp_path / "d")
    packed = (bad / FILE).read_bytes()
    (tmp_path / "d" / FILE).write_bytes(packed[:20] + b"\xff" * 9 + packed[29:])
    with pytest.raises(InputError, match="cannot be unpacked"):
        prepare("biodsbench", home, data=tmp_path / "d")


def test_objects_are_told_from_what_is_there() -> None:
    assertions = "import x\nframe = 1\nassert a.sum() == b[0] == len(frame) == table.n + x.y"
    reference = "a = 1\nb[0] = 2\ntable = read()\nx = 3"
    assert code.wanted(assertions, reference, ["table"]) == ["a", "b"]
    assert code.unknown(assertions, ["a", "table"]) == ["b"]
    assert code.placed('p("/workdir/a.csv"), os.path.join(D, "a.txt"), sep="\\t")') == (
        'p("a.csv"), os.path.join(D, "a.csv"))'
    )


def test_columns_that_were_numbers_are_numbers_again() -> None:
    form = assertions_cell.form_of(pd.DataFrame({250.0: [1], "x": [2]}))
    assert form == {"kind": "table", "index": [], "labels": [250.0, "x"]}
    for name in (250, 250.0, "250"):
        table = assertions_cell.rebuilt(encode(pd.DataFrame({name: [1], "x": [2]})), form)
        assert list(table.columns) == [250, "x"]


def test_stubs_stay_small() -> None:
    forms = {"t": {"kind": "table", "index": [], "labels": [f"c{n}" for n in range(900)]}}
    made: list[Any] = list(objects.stubs(forms, (1_900, 140_140)))
    assert len(made) == 3 * len(objects.CONSTANTS)
    assert max(len(one["t"]["$table"]["rows"]) for one in made) == objects.MAX_CELLS // 900


REPOSITORY = Path(__file__).parents[3]
DATA = Path(os.environ.get("BENCHSIDE_DATA", REPOSITORY.parent / "shared" / "data"))


@pytest.mark.skipif(not (DATA / "biodsbench").is_dir(), reason="BENCHSIDE_DATA has no biodsbench")
def test_the_real_task_files_are_read(home: Path) -> None:
    with pytest.raises(DataMissingError, match="99 tasks were read, 0 can be run") as missing:
        prepare("biodsbench", home, data=DATA)
    assert str(missing.value).count(" tasks)") == 11
