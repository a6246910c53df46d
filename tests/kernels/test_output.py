"""The cap on a cell's outputs, against hand-made messages."""

from hypothesis import given
from hypothesis import strategies as st

from benchside_kernels.output import MAX_IMAGE_CHARS, OutputCollector
from benchside_kernels.submission import MIME


def display(data: dict[str, object], kind: str = "display_data", **extra: object) -> tuple:
    return kind, {"data": data, "metadata": {}, **extra}


def test_streams_join_and_keep_their_order() -> None:
    collector = OutputCollector(1_000)
    for name, text in [("stdout", "a"), ("stdout", "b"), ("stderr", "c"), ("stdout", "d")]:
        collector.add("stream", {"name": name, "text": text})
    texts = [(out["name"], out["text"]) for out in collector.outputs()]
    assert texts == [("stdout", "ab"), ("stderr", "c"), ("stdout", "d")]
    assert collector.dropped_chars == 0


@given(st.lists(st.text(max_size=300), max_size=30), st.integers(2, 400))
def test_head_and_tail_are_kept_and_every_dropped_character_is_counted(
    texts: list[str], budget: int
) -> None:
    collector = OutputCollector(budget)
    for text in texts:
        collector.add("stream", {"name": "stdout", "text": text})
    whole = "".join(texts).encode("utf-8", "replace").decode()
    kept = "".join(out["text"] for out in collector.outputs())
    if len(whole) <= budget // 2:
        assert kept == whole
    if collector.dropped_chars:
        half = budget // 2
        assert kept.startswith(whole[:half])
        assert kept.endswith(whole[len(whole) - half :])
        assert len(whole) - collector.dropped_chars == 2 * half
    else:
        assert kept == whole


def test_rich_outputs_images_and_errors_are_bounded() -> None:
    collector = OutputCollector(2_000)
    collector.add(*display({"text/plain": "p" * 10_000, "text/html": "<b>" * 9_000}))
    collector.add(*display({"image/png": "i" * (MAX_IMAGE_CHARS - 10), "text/plain": "<Figure>"}))
    collector.add(*display({"image/png": "j" * 11}))
    collector.add("error", {"ename": "E", "evalue": "v" * 9_000, "traceback": ["t" * 9_000]})
    outputs = collector.outputs()
    assert sum(len(str(out)) for out in outputs) < MAX_IMAGE_CHARS + 5_000
    assert any("image/png" in out.get("data", {}) for out in outputs)
    assert any("11 characters dropped" in str(out) for out in outputs)
    assert outputs[-1]["ename"] == "E"
    assert collector.dropped_chars > 40_000


def test_a_submission_is_taken_once_and_survives_the_cap() -> None:
    collector = OutputCollector(200)
    big = list(range(5_000))
    collector.add(*display({MIME: big, "text/plain": "s" * 1_000}))
    collector.add(*display({MIME: 2}))
    assert collector.submitted
    assert collector.submission == big
    assert collector.outputs()[0]["data"][MIME] == big


def test_clear_output_and_updates() -> None:
    collector = OutputCollector(1_000)
    collector.add("stream", {"name": "stdout", "text": "old"})
    collector.add("clear_output", {"wait": True})
    assert collector.outputs()[0]["text"] == "old"
    shown = {"transient": {"display_id": "d"}}
    collector.add(*display({"text/plain": "0%"}, **shown))
    collector.add(*display({"text/plain": "100%"}, "update_display_data", **shown))
    (only,) = collector.outputs()
    assert only["data"] == {"text/plain": "100%"}
    assert set(only) == {"output_type", "data", "metadata"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
kinds = st.sampled_from(
    [
        "stream",
        "error",
        "display_data",
        "execute_result",
        "update_display_data",
        "clear_output",
        "x",
    ]
)
keys = st.sampled_from(
    ["name", "text", "data", "metadata", "traceback", "ename", "wait", "transient", MIME]
)


@given(st.lists(st.tuples(kinds, st.dictionaries(keys, json_values, max_size=5)), max_size=8))
def test_hostile_messages_never_raise(messages: list[tuple[str, dict]]) -> None:
    collector = OutputCollector(50)
    for kind, content in messages:
        collector.add(kind, content)
    for output in collector.outputs():
        assert output["output_type"] in ("stream", "error", "display_data", "execute_result")
