"""Images that real cells display, as each backend is shown them; bounded, kept by reference."""

from __future__ import annotations

import base64
import io
import json

import pytest
from PIL import Image

from benchside.policies.pictures import IN_ALL, MAX_SIDE_PX, PER_CELL, shown_chat
from benchside.policy import Conversation, Turn
from benchside.protocol import observation_messages, observation_text, run_cell_action
from benchside_kernels.session import KernelSession
from tests.workbench.chat_server import ChatServer
from tests.workbench.policies.dialects import ANTHROPIC, DIALECTS, Dialect
from tests.workbench.policies.test_backends import START, TASK, policy_of

CELL = """
from PIL import Image
from IPython.display import Image as Shown, display
import io
for width, height in {sizes}:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(buffer, "PNG")
    display(Shown(buffer.getvalue(), format="png"))
"""


async def turns_of(*cells: list[tuple[int, int]]) -> tuple[Turn, ...]:
    turns = []
    async with KernelSession() as session:
        for number, sizes in enumerate(cells):
            action = run_cell_action(CELL.format(sizes=sizes), turn=number)
            result = await session.run(str(action.code))
            assert result.status == "ok", result.outputs
            shown = observation_messages(action, observation_text(result, 10_000))
            turns.append(Turn(action, result, shown))
    return tuple(turns)


def conversation(turns: tuple[Turn, ...]) -> Conversation:
    return Conversation(TASK, START.opening, turns)


async def test_models_that_see_are_shown_images_and_others_read_their_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns = await turns_of([(30, 20), (3000, 1500)])
    for dialect in DIALECTS:
        with ChatServer(dialect.say("seen")) as server:
            async with policy_of(dialect, server, monkeypatch) as policy:
                blind = await policy.act(conversation(turns))
            async with policy_of(dialect, server, monkeypatch, images=True) as policy:
                seeing = await policy.act(conversation(turns))
        without, with_images = (json.dumps(body) for body in server.bodies)
        small = turns[0].result.outputs[0]["data"]["image/png"].strip()  # type: ignore[union-attr]
        assert small not in without and "[image/png]" in without
        assert small in with_images
        assert "3000×1500" in json.dumps(server.bodies[1], ensure_ascii=False)
        assert blind.images == ()
        assert [(one.output, one.width, one.height, one.scaled) for one in seeing.images] == [
            (0, 30, 20, False), (1, MAX_SIDE_PX, MAX_SIDE_PX // 2, True),
        ]  # fmt: skip
        assert seeing.images[0].cell_id == turns[0].result.cell_id  # type: ignore[union-attr]
        assert small not in seeing.model_dump_json(), "stored once, with the cell"
        _check_place(dialect, server)


def _check_place(dialect: Dialect, server: ChatServer) -> None:
    roles = dialect.history(server.bodies[1])
    if dialect.form == "openai":  # whose tools cannot answer with images
        assert roles[-2:] == ["tool", "user"]
    if dialect is ANTHROPIC:
        [result] = server.bodies[1]["messages"][-1]["content"]
        kinds = [block["type"] for block in result["content"]]
        assert kinds == ["text", "text", "image", "text", "image"]


async def test_images_are_bounded_and_the_newest_count() -> None:
    turns = await turns_of(*([(2, 2)] * (PER_CELL + 1) for _ in range(6)))
    chat, new = shown_chat(conversation(turns), sees=True)
    shown = [len(said.pictures) for said in chat if said.message.role == "tool"]
    assert sum(shown) == IN_ALL and shown[-1] == PER_CELL == len(new) and shown[0] == 0


async def test_what_is_no_image_is_not_shown() -> None:
    buffer = io.BytesIO()
    Image.new("1", (7000, 7000)).save(buffer, "PNG")
    bomb = base64.b64encode(buffer.getvalue()).decode()
    data = {"cut": "iVBORw0KGgo=", "none": "%%%", "bomb": bomb}
    lines = "".join(
        f"display({{'image/png': {text!r}, 'text/plain': {name!r}}}, raw=True)\n"
        for name, text in data.items()
    )
    action = run_cell_action(f"from IPython.display import display\n{lines}")
    async with KernelSession() as session:
        result = await session.run(str(action.code))
    turn = Turn(action, result, observation_messages(action, observation_text(result, 1000)))
    assert shown_chat(conversation((turn,)), sees=True)[1] == ()
