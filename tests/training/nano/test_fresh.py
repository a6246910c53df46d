"""The fresh model's tokenizer: what it leaves out, what it keeps, and that calls come back."""

from pathlib import Path

import pytest
import torch

from benchside.hospital.questions.window import NOW_TEXT
from benchside.policy import Message, ToolCall
from benchside.protocol import RUN_CELL, all_tools
from benchside_training.base_model import load_base
from benchside_training.chat_template import ChatTemplate
from benchside_training.local.policy import OPENED
from benchside_training.nano.fresh import Shape, make_tokenizer, write_fresh
from benchside_training.tool_calls import ReplyReader, call_id

QUESTION = "How many drugs did Ella Ashby (patient 017-73460) get?"
PROMPT = (
    f"Answer a question.\n\nQuestion: {QUESTION}\n\nConventions: none.\n\n"
    "Data in the kernel:\n- `DRUGS` (3 rows): NAME text"
)
CODE = 'rows = con.execute("""\nSELECT 1 FROM DRUGS WHERE NAME = \'Ella Ashby\'\n""").fetchall()'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fresh")
    parameters = write_fresh(folder, [PROMPT, CODE] * 3, Shape(vocabulary=320, width=32), seed=0)
    assert parameters < 60_000
    return folder


def test_logits_start_far_enough_apart_to_tell_rare_tokens(folder: Path) -> None:
    model = load_base(str(folder), "float32").model
    with torch.no_grad():
        logits = model(input_ids=torch.arange(300)[None]).logits
    assert logits.std() > 0.8  # 0.3 where the last norm starts at 1


def test_the_template_keeps_question_schema_and_the_end_of_outputs(folder: Path) -> None:
    base = load_base(str(folder), "float32")
    template = ChatTemplate(base.tokenizer, base.stop_ids)
    said = Message(
        role="assistant", content=None,
        tool_calls=(ToolCall(id=call_id(0, 0), name=RUN_CELL, arguments='{"code": "x"}'),),
    )  # fmt: skip
    shown = Message(role="tool", content="a" * 100 + "no such column", tool_call_id=call_id(0, 0))
    opening = (Message(role="system", content="You."), Message(role="user", content=PROMPT))
    text = base.tokenizer.decode(template.whole((*opening, said, shown), all_tools(())))
    assert text == (
        f"<|tools|><|user|>DRUGS: {QUESTION}<|end|><|says|>x<|end|>"
        f"<|output|>{'a' * 46}no such column<|end|><|says|>"
    )


def test_a_larger_model_is_shown_the_whole_prompt(tmp_path: Path) -> None:
    write_fresh(tmp_path, [PROMPT, CODE] * 3, Shape(vocabulary=320, width=32), 0, "prompt")
    base = load_base(str(tmp_path), "float32")
    template = ChatTemplate(base.tokenizer, base.stop_ids)
    opening = (Message(role="system", content="You."), Message(role="user", content=PROMPT))
    text = base.tokenizer.decode(template.whole(opening, all_tools(())))
    assert text == f"<|tools|><|user|>{PROMPT}<|end|><|says|>"


def test_what_is_sampled_comes_back_as_the_same_call(folder: Path) -> None:
    base = load_base(str(folder), "float32")
    template = ChatTemplate(base.tokenizer, base.stop_ids)
    reader = ReplyReader(base.tokenizer, takes_tools=template.takes_tools)
    opening = (Message(role="user", content=PROMPT),)
    before = base.tokenizer.decode(template.whole(opening, all_tools(()))[-OPENED:])
    reply = reader.read(CODE, before, 0)
    ids = template.said((*opening, reply.message), all_tools(()))
    assert base.tokenizer.decode(ids) == f"{CODE}<|end|>"


def test_an_id_has_the_same_tokens_in_a_question_and_in_code(folder: Path) -> None:
    tokenizer = load_base(str(folder), "float32").tokenizer
    known = tokenizer("017-73460", add_special_tokens=False)["input_ids"]
    for around in ("patient 017-73460?", "id = '017-73460'"):
        ids = tokenizer(around, add_special_tokens=False)["input_ids"]
        assert any(ids[at : at + len(known)] == known for at in range(len(ids)))


def test_equal_texts_give_equal_tokenizers() -> None:
    texts = [PROMPT, CODE, NOW_TEXT] * 3
    made = {make_tokenizer(texts, 600).backend_tokenizer.to_str() for _ in range(4)}
    assert len(made) == 1


def test_dates_fall_apart_where_ids_do_not() -> None:
    texts = ["at '2101-03-04' and '2102-05-06', of '017-73460'", NOW_TEXT] * 5
    tokenizer = make_tokenizer(texts, 600)

    def ids(*pieces: str) -> list[int]:
        made = (tokenizer(one, add_special_tokens=False)["input_ids"] for one in pieces)
        return [one for own in made for one in own]

    assert ids("2101-03-04") == ids("2101", "-", "03", "-", "04")
    assert ids("017-73460") != ids("017", "-", "73460")
    assert len(ids(NOW_TEXT)) == 2
