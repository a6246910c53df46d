"""The `benchside` command: one verb per job. Mistakes give one message and exit code 2."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import JsonValue
from rich.console import Console
from rich.table import Table

from benchside import __version__, kernelspecs
from benchside.attach import attach_or_list
from benchside.commands import RunRequest, find_transcript, run_suites
from benchside.doctor import diagnose, print_diagnosis
from benchside.engines.engine import EngineName
from benchside.episode import UNSCORED
from benchside.errors import BenchsideError, InfrastructureError, InputError
from benchside.evaluation import Evaluation, PolicyChoice, SuiteChoice, read_evaluation
from benchside.export.export import export_run
from benchside.export.other_forms import export_as
from benchside.export.redaction import MIN_CELL
from benchside.failures.command import analyse_run, print_failures
from benchside.gate.report import held_back, print_report
from benchside.gate.run import GateRequest, gate_suite
from benchside.library import DATA_VARIABLE, open_suite, prepare
from benchside.manifests import manifest, manifests
from benchside.manner import Feedback, ProtocolName
from benchside.plugged_command import plugged_command
from benchside.policies import POLICY_FORMS, SCAFFOLD_FORMS
from benchside.preparing import Wanted, prepare_all
from benchside.regrade import regrade
from benchside.rendering import print_episode
from benchside.replay.command import ReplayRequest, print_replay, replay_target, show_diff
from benchside.replay.edit import Edit, edit_episode
from benchside.replay.prefer import PreferRequest, prefer
from benchside.runs import load_run
from benchside.serving.desk import Offer
from benchside.statistics import compare, rates_by
from benchside.statistics import scores as score_rows
from benchside.statistics.costs import costs as run_costs
from benchside.statistics.step_costs import step_costs
from benchside.store import RunFolder
from benchside.suite_facts import SuiteFacts, cost_table, part_line, suite_list, total_line
from benchside.tables import (
    comparison_line,
    cost_lines,
    outcome_line,
    result_table,
    score_table,
    step_table,
)
from benchside.task import Split
from benchside.task_list import read_task_list
from benchside.tools import TOOL_NAMES, checked_tools
from benchside.transcript import read_transcript
from benchside_kernels.errors import KernelError
from benchside_kernels.makers import open_kernels
from benchside_kernels.sandbox import Level
from benchside_kernels.startup import home_folder

app = typer.Typer(
    help="Biomedical tasks in Jupyter kernels: run policies, get graded notebooks.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    rich_markup_mode=None,
)  # fmt: skip
console = Console(markup=False, highlight=False)  # task texts may hold anything

app.add_typer(kernelspecs.app, name="kernelspec")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Beside = Annotated[
    str | None,
    typer.Option(help="Runs to take exploit floor and contamination from, such as 'runs/*'."),
]
EngineOption = Annotated[
    EngineName, typer.Option("--engine", help="ray: on all nodes of a cluster; see docs/scale.md.")
]
Store = Annotated[
    str | None, typer.Option(help="ray: URL for transcripts, where nodes share no run folder.")
]
Data = Annotated[
    Path | None,
    typer.Option(help="Folder with your copy of the data.", envvar=DATA_VARIABLE),
]


def main() -> None:
    """Entry point: errors for people become one message on stderr and exit code 2."""
    try:
        app()
    except (BenchsideError, KernelError) as error:
        print(f"benchside: {error}", file=sys.stderr)
        sys.exit(2)


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print it.")] = False) -> None:
    if version:
        print(f"benchside {__version__}")


@app.command()
def suites(as_json: AsJson = False) -> None:
    """List all suites: tasks, licence, sensitivity, and what the gate found."""
    found = [SuiteFacts.of(described, home_folder()) for described in manifests().values()]
    if as_json:
        print(json.dumps([facts.as_json() for facts in found], indent=1))
    else:
        console.print(suite_list(found))


@app.command()
def tasks(
    suite: str,
    split: Annotated[Split | None, typer.Option(help="Only this split.")] = None,
    category: Annotated[str | None, typer.Option(help="Only this category.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
    quarantined: Annotated[
        bool, typer.Option("--quarantined", help="Only those that the gate holds back, with why.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List a suite's tasks."""
    opened = open_suite(suite, home_folder(), _say)
    held = held_back(opened)
    found = [
        task for task in opened.tasks
        if split in (None, task.split) and category in (None, task.category)
        and (not quarantined or task.task_id in held)
    ][:limit]  # fmt: skip
    if as_json:
        listed = [
            {**task.model_dump(mode="json"), "quarantined": list(held.get(task.task_id, ()))}
            for task in found
        ]
        print(json.dumps(listed, indent=1))
        return
    if quarantined:
        for task in found:
            console.print(f"{task.task_id}: {'; '.join(held[task.task_id])}", soft_wrap=True)
        console.print(f"{len(found)} of {len(opened.tasks)} tasks are quarantined")
        return
    table = Table(box=None, pad_edge=False)
    longest = max((len(task.task_id) for task in found), default=0)
    table.add_column("task", no_wrap=True, min_width=longest)  # to be copied whole
    for column in ("split", "category"):
        table.add_column(column, overflow="fold")
    table.add_column("prompt", no_wrap=True, max_width=60)
    for task in found:
        table.add_row(task.task_id, task.split, task.category, " ".join(task.prompt.split()))
    console.print(table)
    console.print(f"{len(found)} of {len(opened.tasks)} tasks")


@app.command("prepare")
def prepare_command(
    suites: Annotated[list[str] | None, typer.Argument(metavar="SUITE...")] = None,
    every: Annotated[bool, typer.Option("--all", help="All embedded suites.")] = False,
    full: Annotated[
        bool, typer.Option("--full", help="As large as the published sets they stand in for.")
    ] = False,
    data: Data = None,
    seed: Annotated[int | None, typer.Option(help="Seed of a generated suite.")] = None,
    size: Annotated[int | None, typer.Option(min=1, help="Tasks of a generated suite.")] = None,
    family: Annotated[
        list[str] | None,
        typer.Option(help="Only tasks of this template family: an equal share of --size each."),
    ] = None,
    parallel: Annotated[
        int | None, typer.Option(min=1, help="Suites at a time; default: the machine's cores.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Build suites: tasks, answer keys and kernel images. Of several, those not ready are built."""
    names = list(dict.fromkeys(suites or []))
    described = [manifest(name) for name in names]
    if every:
        described += [one for one in manifests().values() if not one.data and one.name not in names]
    if not described:
        raise InputError("no suite is named", where="SUITE", fix="name one, or give --all")
    if full and size is not None:
        raise InputError("--full and --size exclude each other", where="--size", value=size)
    if family and len(described) > 1:
        raise InputError(
            "families belong to one suite", where="--family", value=", ".join(family),
            fix="prepare that suite alone",
        )  # fmt: skip
    wanted = [
        Wanted(
            one, one.seed if seed is None else seed, (one.full_size if full else size) or one.size
        )
        for one in described
    ]
    if every or len(wanted) > 1:
        _prepare_many(wanted, data, parallel or os.cpu_count() or 1, as_json=as_json)
        return
    name, chosen = wanted[0].name, wanted[0].size
    prepared = prepare(
        name, home_folder(), data=data if described[0].data else None, seed=seed, size=chosen,
        families=tuple(family or ()), say=(lambda _: None) if as_json else _say,
    )  # fmt: skip
    if as_json:
        print(json.dumps(SuiteFacts.of(described[0], home_folder()).as_json(), indent=1))
        return
    for label, count in prepared.record.counts.items():
        console.print(f"  {label}: {count:,}")
    console.print(f"{name}: {len(prepared.tasks):,} tasks prepared, build {prepared.record.build}")
    if prepared.record.families:
        console.print(part_line(prepared.record))


def _prepare_many(wanted: list[Wanted], data: Path | None, parallel: int, *, as_json: bool) -> None:
    """Prepare and report; exit code 1 if any suite failed."""
    home = home_folder()
    try:
        done = asyncio.run(
            prepare_all(wanted, home, data=data, parallel=parallel, console=_stderr())
        )
    except KeyboardInterrupt:
        print("suites that are ready are kept; the same command goes on", file=sys.stderr)
        raise
    if as_json:
        facts = [SuiteFacts.of(one.manifest, home).as_json() for one in wanted]
        print(json.dumps(facts, indent=1))
    else:
        console.print(cost_table(done.records))
        for name, record in done.records.items():
            listed = ", ".join(f"{reason} {count:,}" for reason, count in record.dropped.items())
            if listed:
                console.print(f"{name} dropped: {listed}")
        console.print(total_line(done.records.values()))
    for name, why in done.failures.items():
        print(f"{name} failed: {why}", file=sys.stderr)
    if done.failures:
        raise typer.Exit(1)


@app.command()
def gate(
    suite: str,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Tasks to play, spread over categories.")
    ] = None,
    parallel: Annotated[
        int | None, typer.Option(min=1, help="Episodes at a time; default: the machine's cores.")
    ] = None,
    isolation: Annotated[
        Level | None, typer.Option(help="Default: the strongest that this machine gives.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a suite's tasks on real kernels; exit code 1 if any is held back."""
    request = GateRequest(limit, parallel or os.cpu_count() or 1, isolation)
    opened = open_suite(suite, home_folder(), _say)
    try:
        report = asyncio.run(gate_suite(opened, request, _stderr()))
    except KeyboardInterrupt:
        print("finished episodes are kept; gate again to go on", file=sys.stderr)
        raise
    if as_json:
        print(report.model_dump_json(indent=1))
    else:
        print_report(report, console)
    if not report.passed:
        raise typer.Exit(1)


@app.command()
def run(
    suites: Annotated[list[str], typer.Argument(metavar="SUITE...")],
    policy: Annotated[
        list[str],
        typer.Option(
            help=f"Repeatable. One of {', '.join(POLICY_FORMS.values())}; or a scaffold over one: "
            f"{', '.join(SCAFFOLD_FORMS.values())}."
        ),
    ],
    limit: Annotated[
        int | None, typer.Option(min=1, help="Tasks per suite, spread over its categories.")
    ] = None,
    split: Annotated[Split | None, typer.Option(help="Only this split.")] = None,
    tasks: Annotated[
        Path | None, typer.Option(help="Only those in this file: SUITE/TASK_ID[@HASH] a line.")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Attempts per task.")] = 1,
    parallel: Annotated[
        int | None, typer.Option(min=1, help="Episodes at a time; default: the machine's cores.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on with the run in --out.")] = False,
    seed: int = 0,
    isolation: Annotated[
        Level | None, typer.Option(help="Default: the strongest that this machine gives.")
    ] = None,
    keep: Annotated[
        float | None,
        typer.Option(min=1, help="Minutes that kernels outlive their episodes, for `attach`."),
    ] = None,
    with_quarantined: Annotated[
        bool, typer.Option("--with-quarantined", help="Run tasks that the gate holds back, too.")
    ] = False,
    tool: Annotated[
        list[str] | None,
        typer.Option(help=f"Offered to models, repeatable: {', '.join(TOOL_NAMES)}."),
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Models: server, such as http://localhost:8000/v1")
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="Models: sampling.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Models: per answer.")] = None,
    requests_per_minute: Annotated[float | None, typer.Option(help="Models: limit.")] = None,
    protocol: Annotated[
        ProtocolName, typer.Option(help="How models act: by tool calls or in plain text.")
    ] = "native",
    feedback: Annotated[
        Feedback, typer.Option(help="oracle: as published for medagentgym; not comparable.")
    ] = "execution",
    engine: EngineOption = "local",
    store: Store = None,
    images: Annotated[
        bool, typer.Option("--images", help="The model can see: show it what cells display.")
    ] = False,
    cache: Annotated[
        bool, typer.Option("--cache", help="Take answers to equal requests from the home folder.")
    ] = False,
    prices: Annotated[
        Path | None, typer.Option(help="YAML file of prices; see docs/policies.md.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run policies on suites; each episode leaves a graded notebook in the run folder."""
    if feedback == "oracle" and protocol != "medagentgym":
        raise InputError(
            "feedback oracle exists for parity with published runs only", where="--feedback",
            value=feedback, fix="give --protocol medagentgym, too, or leave it out",
        )  # fmt: skip
    options = {
        "base_url": base_url, "temperature": temperature, "max_tokens": max_tokens,
        "requests_per_minute": requests_per_minute, "protocol": protocol, "feedback": feedback,
        "images": images, "cache": cache,
    }  # fmt: skip
    listed = {} if tasks is None else read_task_list(tasks, suites)
    asked = Evaluation(
        suites=tuple(
            SuiteChoice(name=name, split=split, tasks=listed.get(name, ()), limit=limit)
            for name in dict.fromkeys(suites)
        ),
        policies=tuple(
            PolicyChoice.model_validate({"policy": name, **options})
            for name in dict.fromkeys(policy)
        ),
        samples=samples, seed=seed, parallel=parallel, isolation=isolation,
        with_quarantined=with_quarantined, tools=checked_tools(tool or ()), prices=prices,
    ).priced(Path())  # fmt: skip
    keep_s = None if keep is None else 60 * keep
    _run(RunRequest(asked, out, resume, keep_s, engine, store), as_json)


@app.command()
def evaluate(
    config: Annotated[Path, typer.Argument(help="A YAML file; see docs/evaluate.md.")],
    out: Annotated[Path | None, typer.Option(help="Run folder.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on with the run in --out.")] = False,
    engine: EngineOption = "local",
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Run many policies on many suites as one file says, within limits and a budget."""
    request = RunRequest(read_evaluation(config), out, resume, engine=engine, store=store)
    _run(request, as_json)


def _run(request: RunRequest, as_json: bool) -> None:
    try:
        folder = asyncio.run(run_suites(request, home_folder(), _stderr()))
    except KeyboardInterrupt:
        print("finished episodes are kept; go on with --resume --out FOLDER", file=sys.stderr)
        raise
    rows = list(folder.rows().values())
    if as_json:
        print(json.dumps([row.model_dump(mode="json") for row in rows], indent=1))
    else:
        _print_results(folder)
    if rows and all(row.outcome in UNSCORED for row in rows):
        raise InfrastructureError(
            "no episode could be scored", where=folder.path, value=rows[0].error,
            fix="mend the cause, then go on with --resume",
        )  # fmt: skip


@app.command()
def show(
    episode: Annotated[str, typer.Argument(help="A transcript, or RUN/EPISODE-ID.")],
    as_json: AsJson = False,
) -> None:
    """Show one episode in the terminal."""
    found = read_transcript(find_transcript(episode))
    if as_json:
        print(found.model_dump_json(exclude={"turns"}, indent=1))
        return
    print_episode(found, console)


@app.command()
def scores(
    run: Annotated[str, typer.Argument(help="A run folder, or a pattern such as 'runs/*'.")],
    by: Annotated[Literal["suite", "category"], typer.Option(help="Rows of each.")] = "suite",
    against: Annotated[
        str | None, typer.Option(help="Compare every other policy with this one, task by task.")
    ] = None,
    beside: Beside = None,
    as_json: AsJson = False,
) -> None:
    """Show a run's scores with 95% intervals: success, pass@k, majority, costs, floors."""
    loaded = load_run(run)
    found = score_rows(loaded, by, beside=None if beside is None else load_run(beside))
    policies = [name for name in dict.fromkeys(loaded.episodes["policy"]) if name != against]
    compared = [compare(loaded.episodes, name, against) for name in policies if against]
    cost = run_costs(loaded.episodes)
    if as_json:
        listed = json.loads(found.to_json(orient="records"))
        paid = json.loads(cost.to_json(orient="records"))
        paired = [asdict(one) for one in compared]
        print(json.dumps({"scores": listed, "costs": paid, "compared": paired}))
        return
    console.print(score_table(found))
    if len(cost):
        console.print(cost_lines(cost))
    for one in compared:
        console.print(comparison_line(one), soft_wrap=True)
    for defect in loaded.defects:
        console.print(f"{defect.kind}: {defect.where}: {defect.what}", soft_wrap=True)


@app.command()
def costs(
    run: Annotated[str, typer.Argument(help="A run folder, or a pattern such as 'runs/*'.")],
    as_json: AsJson = False,
) -> None:
    """Show what each step of each policy costs per episode: actions, plans, votes and the like."""
    found = step_costs(load_run(run))
    if as_json:
        print(found.to_json(orient="records"))
    else:
        console.print(step_table(found))


@app.command()
def report(
    run: Path,
    to: Annotated[Path | None, typer.Option(help="Folder; default: RUN/report.")] = None,
    beside: Beside = None,
) -> None:
    """Write a run as a site of pages that opens from disk: results, figures, each episode."""
    from benchside.report.site import write_report  # noqa: PLC0415 (matplotlib)

    written = write_report(RunFolder(run), to or run / "report", _stderr(), beside)
    for defect in written.defects:
        console.print(f"{defect.kind}: {defect.where}: {defect.what}", soft_wrap=True)
    console.print(f"{written.episodes:,} episodes: open {written.index}", soft_wrap=True)


@app.command()
def view(
    run: Path,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 0,
) -> None:
    """Serve a run's pages to this machine's browser and follow it while it goes on."""
    from benchside.report.view import live_server  # noqa: PLC0415 (matplotlib)

    with live_server(RunFolder(run), port) as server:
        console.print(f"http://127.0.0.1:{server.server_port}/ (Ctrl-C ends it)", soft_wrap=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


@app.command()
def attach(
    episode: Annotated[
        str | None, typer.Argument(help="A transcript, or RUN/EPISODE-ID; without: list them.")
    ] = None,
) -> None:
    """Step into an episode whose kernel was kept (`run --keep`), from Jupyter."""
    asyncio.run(attach_or_list(episode, console))


@app.command()
def mcp(
    target: Annotated[str, typer.Argument(help="A suite, or one task as SUITE/TASK-ID.")],
    http: Annotated[
        bool, typer.Option("--http", help="Serve many clients of this machine, not one by stdio.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="--http: 0: any free one.")] = 8000,
    split: Annotated[Split | None, typer.Option(help="Only this split.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Tasks, over all categories.")] = None,
    policy: Annotated[str, typer.Option(help="Name that episodes are recorded under.")] = "mcp",
    out: Annotated[Path | None, typer.Option(help="Run folder.")] = None,
    idle: Annotated[
        float, typer.Option(min=1, help="Seconds without a call that end an episode, unscored.")
    ] = 300.0,
    isolation: Annotated[
        Level | None, typer.Option(help="Default: the strongest that this machine gives.")
    ] = None,
) -> None:
    """Serve a suite's tasks by the Model Context Protocol: start, run_cell, submit."""
    from benchside.serving.command import serve_mcp  # noqa: PLC0415 (optional packages)

    offer = Offer(
        target=target, policy=policy, split=split, limit=limit, out=out, isolation=isolation
    )
    with suppress(KeyboardInterrupt):
        asyncio.run(serve_mcp(offer, idle, port if http else None, _stderr()))


@app.command()
def replay(
    target: Annotated[str, typer.Argument(help="A run folder, a transcript, or RUN/EPISODE-ID.")],
    probe: Annotated[
        bool, typer.Option("--probe", help="Look for what each episode depends on: time, seeds …")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Show the episode beside its replay (nbdime).")
    ] = False,
    parallel: Annotated[
        int | None, typer.Option(min=1, help="Episodes at a time; default: the machine's cores.")
    ] = None,
    isolation: Annotated[Level | None, typer.Option(help="Default: that of the episodes.")] = None,
    edit: Annotated[
        str | None, typer.Option(metavar="CELL", help="Fork there, with the code of --code.")
    ] = None,
    code: Annotated[Path | None, typer.Option(help="With --edit: file of the cell's code.")] = None,
    policy: Annotated[
        str | None, typer.Option(help="With --edit: who goes on; default: the same policy.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run transcripts again in fresh kernels and compare cell by cell, or change a cell."""
    request = ReplayRequest(target, parallel or os.cpu_count() or 1, probe, isolation)
    if edit is not None:
        _edit(request, edit, code, policy, as_json)
        return
    rows = asyncio.run(replay_target(request, home_folder(), _stderr()))
    if as_json:
        print(json.dumps([row.model_dump(mode="json") for row in rows], indent=1))
    else:
        print_replay(rows, console)
    if diff:
        show_diff(request)


def _edit(
    request: ReplayRequest, cell: str, code: Path | None, policy: str | None, as_json: bool
) -> None:
    if code is None or not code.is_file():
        raise InputError(
            "--edit needs the cell's new code", where="--code", value=code and str(code),
            fix="write it to a file and give --code FILE",
        )  # fmt: skip
    change = Edit(cell, code.read_text(encoding="utf-8"), policy)
    folder, episode = asyncio.run(edit_episode(request, change, home_folder(), _stderr()))
    if as_json:
        print(episode.model_dump_json(exclude={"turns"}, indent=1))
        return
    print_episode(episode, console)
    path = folder.transcript_path(episode.episode_id)
    console.print(f"counterfactual of {episode.parent}: {path}", soft_wrap=True)


@app.command("prefer")
def prefer_command(
    episode: Annotated[str, typer.Argument(help="A transcript, or RUN/EPISODE-ID, to reject.")],
    corrected: Annotated[
        str,
        typer.Argument(help="A copy of its notebook with a changed cell, or another episode."),
    ],
    why: Annotated[str, typer.Option(help="What is better about it.")],
    who: Annotated[str, typer.Option(envvar="USER", help="Who says so.")],
    policy: Annotated[
        str | None, typer.Option(help="Who goes on after the changed cell; default: the same.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Save a preference pair: run a corrected notebook, and prefer it if it solves the task."""
    request = PreferRequest(episode, corrected, who, why, policy)
    made = asyncio.run(prefer(request, home_folder(), _stderr()))
    if as_json:
        print(made.model_dump_json(indent=1))
        return
    console.print(
        f"{made.chosen} is preferred to {made.rejected} ({made.rejected_outcome}) from "
        f"{made.cell_id} on: {made.chosen_transcript}", soft_wrap=True,
    )  # fmt: skip


@app.command()
def failures(run: Path, as_json: AsJson = False) -> None:
    """Say why episodes failed, by rules over cells, outputs and gold; nothing is run."""
    rows = analyse_run(run, home_folder(), _stderr())
    if as_json:
        print(json.dumps([row.model_dump(mode="json") for row in rows], indent=1))
    else:
        print_failures(rows, console)


@app.command()
def grade(run: Path, as_json: AsJson = False) -> None:
    """Grade a run's stored episodes again with today's graders; only submitted programs are run."""
    folder = RunFolder(run)
    folder.config()

    async def work() -> list[dict[str, JsonValue]]:
        changes: list[dict[str, JsonValue]] = []
        with folder.lock():
            async with open_kernels() as maker:  # none starts unless a program has to be run
                async for regraded in regrade(folder, home_folder(), maker):
                    if regraded.changed:
                        changes.append(
                            {
                                "episode_id": regraded.before.episode_id,
                                "before": regraded.before.outcome,
                                "after": regraded.after.outcome,
                            }
                        )
        return changes

    changes = asyncio.run(work())
    if as_json:
        print(json.dumps(changes, indent=1))
        return
    for change in changes:
        console.print(f"{change['episode_id']}: {change['before']} → {change['after']}")
    console.print(f"{len(changes)} verdicts changed")
    _print_results(folder)


@app.command()
def export(
    run: Path,
    to: Annotated[Path, typer.Option(help="New folder.")],
    redact: Annotated[
        bool, typer.Option("--redact", help="Take out identifiers, dates, small counts, notes.")
    ] = False,
    min_cell: Annotated[
        int, typer.Option(min=1, help="With --redact: the smallest count that is shown.")
    ] = MIN_CELL,
    form: Annotated[
        Literal["run", "messages", "inspect"],
        typer.Option("--format", help="A run folder, Hugging Face messages, or logs of Inspect."),
    ] = "run",
    as_json: AsJson = False,
) -> None:
    """Write a run to a new folder for sharing; credentialed data only redacted."""
    if form != "run":
        if redact:
            raise InputError(
                "only run folders are redacted", where="--format", value=form,
                fix="leave --format or --redact out",
            )  # fmt: skip
        count = export_as(run, to, form)
        print(json.dumps({"episodes": count}) if as_json else f"{count:,} episodes exported")
        return
    written = export_run(run, to, home_folder(), redact=redact, min_cell=min_cell)
    if as_json:
        print(written.model_dump_json(indent=1))
        return
    console.print(f"{written.episodes:,} episodes exported to {to}", soft_wrap=True)
    for kind, count in written.removed.items():
        console.print(f"  {kind}: {count:,} taken out")
    for gap in written.not_covered:
        console.print(f"  not covered: {gap}", soft_wrap=True)


@app.command()
def merge(
    config: Annotated[Path, typer.Argument(help="A YAML file; see docs/training.md.")],
) -> None:
    """Merge checkpoints, with given weights or with those that solve most tasks."""
    plugged_command("merge")(config)


@app.command()
def doctor(
    isolation: Annotated[
        Level | None, typer.Option(help="Default: the strongest that this machine gives.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what isolation holds on this machine, and attack it; exit code 2 if anything escapes."""
    found = asyncio.run(diagnose(isolation))
    if as_json:
        print(json.dumps(found.as_json(), indent=1))
    else:
        print_diagnosis(found, console)
    if not found.contained:
        raise typer.Exit(2)


def _print_results(folder: RunFolder) -> None:
    rows = list(folder.rows().values())
    console.print(result_table(rows))
    console.print(outcome_line(rows))
    for error, count in Counter(row.error for row in rows if row.outcome in UNSCORED).most_common(
        5
    ):
        console.print(f"unscored, {count} episodes: {error}")
    solved = rates_by(rows, lambda row: (row.policy,))
    best = max(solved, key=lambda name: solved[name].value or 0.0, default=None)
    shown = next((row for row in rows if (row.policy,) == best), None)
    if shown is not None:
        path = folder.path / shown.transcript
        console.print(f"Open a notebook: jupyter lab {path}", soft_wrap=True)
        console.print(f"or in the terminal: benchside show {path}", soft_wrap=True)


def _stderr() -> Console:
    return Console(stderr=True, markup=False, highlight=False)


def _say(line: str) -> None:
    _stderr().print(line)
