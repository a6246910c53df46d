"""Collects a cell's outputs from IOPub messages and caps them while they are received.

Half of the budget keeps the head, half the tail; what lies between is counted and dropped, so that
a cell that prints without end fills no memory on the host. Images have a budget of their own. What
a kernel sends is hostile input: what could not be stored again is replaced by a note.
"""

from __future__ import annotations

import json
import re
from collections import deque
from typing import Any

from benchside_kernels.submission import MAX_SUBMISSION_CHARS, MIME

Output = dict[str, Any]
MAX_IMAGE_CHARS = 8_000_000  # base64 characters of all images of one cell
MAX_OUTPUTS = 1_000
MAX_METADATA_CHARS = 10_000
MAX_NAME_CHARS = 200
MAX_JSON_DEPTH = 60
MALFORMED: Any = {"$malformed": "not a value that submit() sends"}
"""Stands for a submission that no submit() has made; every grader fails it."""


class OutputCollector:
    """The outputs of one running cell, as nbformat 4.5 dicts.

    Args:
        max_chars: text that is kept in all, over streams, results, displays and errors.
    """

    def __init__(self, max_chars: int) -> None:
        self._max_chars = max_chars
        self.submission: Any = None
        self.submitted = False
        self.dropped_chars = 0
        self.produced_chars = 0
        self._reset()

    def _reset(self) -> None:
        self._head: list[Output] = []
        self._tail: deque[Output] = deque()
        self._head_room = self._max_chars // 2
        self._tail_size = 0
        self._image_room = MAX_IMAGE_CHARS
        self._clear_on_next = False
        self._dropped_before_tail = 0

    def add(self, kind: str, content: dict[str, Any]) -> None:
        """Take one IOPub message of the running cell; unknown kinds are ignored."""
        if kind == "clear_output":
            self._clear_on_next = True
            if not content.get("wait"):
                self._reset()
            return
        output = _as_output(kind, content)
        if output is None:
            return
        self.produced_chars += _text_size(output) + _image_size(output)
        if self._clear_on_next:
            self._reset()
        self._note_submission(output)
        if kind == "update_display_data":
            self._update(output)
        elif output["output_type"] == "stream":
            self._add_stream(output["name"], output["text"])
        else:
            self._add_rich(output)

    def drop(self, chars: object) -> None:
        """Count output that the kernel itself did not send."""
        if isinstance(chars, int) and 0 < chars < 1 << 53:
            self.produced_chars += chars
            self.dropped_chars += chars
            self._dropped_before_tail += chars

    def outputs(self) -> tuple[Output, ...]:
        """Return what was kept; a stream message in the middle says how much was dropped."""
        kept = [dict(output) for output in self._head]
        if self._dropped_before_tail:
            text = f"\n[… {self._dropped_before_tail:,} characters of output dropped …]\n"
            kept.append({"output_type": "stream", "name": "stdout", "text": text})
        for output in self._tail:
            _append_stream(kept, output)
        return tuple(_public(output) for output in kept)

    def _note_submission(self, output: Output) -> None:
        data = output.get("data", {})
        if MIME not in data:
            return
        if self.submitted:
            del data[MIME]  # one submission counts, and one is kept
            data.setdefault("text/plain", "[a further submission]")
        else:
            self.submitted, self.submission = True, data[MIME]

    def _add_stream(self, name: str, text: str) -> None:
        if not text:
            return
        if self._head_room > 0 and not self._tail:
            part, text = text[: self._head_room], text[self._head_room :]
            self._head_room -= len(part)
            _append_stream(self._head, {"output_type": "stream", "name": name, "text": part})
        if text:
            self._push_tail({"output_type": "stream", "name": name, "text": text}, len(text))

    def _add_rich(self, output: Output) -> None:
        self._cut_images(output)
        size = _text_size(output)
        if size > self._max_chars // 2:
            size = self._shrink(output, size)
        if size <= self._head_room and not self._tail and len(self._head) < MAX_OUTPUTS // 2:
            self._head_room -= size
            self._head.append(output)
        else:
            self._push_tail(output, size)

    def _push_tail(self, output: Output, size: int) -> None:
        """Append to the tail and evict from its front what is over the budget."""
        last = self._tail[-1] if self._tail else None
        if (
            last
            and output["output_type"] == last["output_type"] == "stream"
            and (last["name"] == output["name"] and len(last["text"]) < self._max_chars)
        ):
            last["text"] += output["text"]
        else:
            self._tail.append(output)
        self._tail_size += size
        budget = self._max_chars // 2
        while self._tail and (self._tail_size > budget or len(self._tail) > MAX_OUTPUTS // 2):
            first = self._tail[0]
            over = self._tail_size - budget
            if first["output_type"] == "stream" and 0 < over < len(first["text"]):
                first["text"] = first["text"][over:]
                self._drop(over)
                return
            self._tail.popleft()
            self._drop(_text_size(first))

    def _drop(self, chars: int) -> None:
        self._tail_size -= chars
        self._dropped_before_tail += chars
        self.dropped_chars += chars

    def _shrink(self, output: Output, size: int) -> int:
        """Cut a single rich output to half of the budget; return its new size in characters."""
        budget = self._max_chars // 2
        if output["output_type"] == "error":
            output["evalue"] = _cut(output["evalue"], budget // 4)
            output["traceback"] = [_cut("\n".join(output["traceback"]), budget // 2)]
        else:
            plain = _cut(str(output["data"].get("text/plain", "")), budget - 100)
            whole = {m: body for m, body in output["data"].items() if _is_image(m) or m == MIME}
            output["data"] = {"text/plain": plain, **whole}
        kept = _text_size(output)
        self.dropped_chars += max(size - kept, 0)
        return kept

    def _cut_images(self, output: Output) -> None:
        for mime in [mime for mime in output.get("data", {}) if _is_image(mime)]:
            size = len(output["data"][mime])
            if size > self._image_room:
                del output["data"][mime]
                note = f"[{mime} of {size:,} characters dropped]"
                output["data"].setdefault("text/plain", note)
                self.dropped_chars += size
            else:
                self._image_room -= size

    def _update(self, output: Output) -> None:
        """Replace the data of the display with the same id; an unknown id changes nothing."""
        display_id = output.get("_display_id")
        self._cut_images(output)
        for kept in [*self._head, *self._tail]:
            if display_id is not None and kept.get("_display_id") == display_id:
                before = _text_size(kept)
                if _text_size(output) > max(before, 2_000):
                    self._shrink(output, _text_size(output))
                kept["data"], kept["metadata"] = output["data"], output["metadata"]


def _as_output(kind: str, content: dict[str, Any]) -> Output | None:
    """The nbformat output of a message; None where it is none. Hostile content raises no error."""
    match kind:
        case "stream":
            name = "stderr" if content.get("name") == "stderr" else "stdout"
            return {"output_type": "stream", "name": name, "text": _text(content.get("text"))}
        case "error":
            lines = content.get("traceback")
            return {
                "output_type": "error",
                "ename": _text(content.get("ename"))[:MAX_NAME_CHARS],
                "evalue": _text(content.get("evalue")),
                "traceback": [_text(line) for line in lines] if isinstance(lines, list) else [],
            }
        case "display_data" | "execute_result" | "update_display_data":
            data, metadata = content.get("data"), content.get("metadata")
            output: Output = {
                "output_type": "display_data" if kind == "update_display_data" else kind,
                "data": _mime_bundle(data) if isinstance(data, dict) else {},
                "metadata": _metadata(metadata),
            }
            if kind == "execute_result":
                count = content.get("execution_count")
                valid = type(count) is int and 0 <= count < 2**31
                output["execution_count"] = count if valid else None
            transient = content.get("transient")
            if isinstance(transient, dict) and "display_id" in transient:
                output["_display_id"] = _text(transient["display_id"])
            return output
    return None


def _mime_bundle(data: dict[Any, Any]) -> dict[str, Any]:
    """JSON mimes keep their value where it can be stored; all others are text."""
    bundle: dict[str, Any] = {}
    for key, body in data.items():
        mime = _text(key)[:MAX_NAME_CHARS]
        if mime == MIME:
            bundle[mime] = body if _json_size(body) <= MAX_SUBMISSION_CHARS else MALFORMED
        elif not _JSON_MIME.fullmatch(mime):
            bundle[mime] = _text(body)
        elif _json_size(body) < _NOT_STORABLE:
            bundle[mime] = body
        else:
            bundle["text/plain"] = f"[{mime} that cannot be stored]"
    return bundle


def _metadata(metadata: object) -> dict[str, Any]:
    """Metadata of a usual size; what is larger or cannot be stored is left out."""
    if isinstance(metadata, dict) and _json_size(metadata) <= MAX_METADATA_CHARS:
        return metadata
    return {}


_NOT_STORABLE = 2**40
_JSON_MIME = re.compile(r"application/(.*\+)?json")  # what nbformat 4.5 lets hold more than text


def _json_size(value: object) -> int:
    """Bytes of a value as JSON; `_NOT_STORABLE` if it is too deep or gives no valid JSON text."""
    if not _shallow(value, MAX_JSON_DEPTH):
        return _NOT_STORABLE
    try:
        return len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
    except (ValueError, TypeError):  # nan, lone surrogates, foreign objects
        return _NOT_STORABLE


def _shallow(value: object, depth: int) -> bool:
    if isinstance(value, dict):
        return depth > 0 and all(_shallow(item, depth - 1) for item in value.values())
    if isinstance(value, list):
        return depth > 0 and all(_shallow(item, depth - 1) for item in value)
    return True


def _text(value: object) -> str:
    """Text that can be written as UTF-8: lone surrogates become question marks."""
    if isinstance(value, list):
        value = "".join(str(part) for part in value)
    text = "" if value is None else str(value)
    return text.encode("utf-8", "replace").decode("utf-8")


def _is_image(mime: str) -> bool:
    return mime.startswith("image/") and not mime.endswith(("xml", "json"))


def _text_size(output: Output) -> int:
    """Characters of an output without its images and without the submission."""
    match output["output_type"]:
        case "stream":
            return len(output["text"])
        case "error":
            return len(output["evalue"]) + sum(len(line) for line in output["traceback"])
    bodies = ((m, b) for m, b in output["data"].items() if not _is_image(m) and m != MIME)
    return sum(len(body) if isinstance(body, str) else len(json.dumps(body)) for _, body in bodies)


def _image_size(output: Output) -> int:
    """Characters of an output's images."""
    bodies = output.get("data", {}).items()
    return sum(len(body) for mime, body in bodies if _is_image(mime))


def _cut(text: str, budget: int) -> str:
    if len(text) <= budget:
        return text
    half = budget // 2
    mark = f"\n[… {len(text) - 2 * half:,} characters dropped …]\n"
    return text[:half] + mark + text[len(text) - half :]


def joined(text: str | list[str]) -> str:
    """Return a text of an output, which nbformat keeps as one string or as a list of lines."""
    return text if isinstance(text, str) else "".join(text)


def _append_stream(outputs: list[Output], output: Output) -> None:
    """Append an output; a stream that follows one of its name joins it, as in nbformat."""
    last = outputs[-1] if outputs else None
    both = last is not None and last["output_type"] == output["output_type"] == "stream"
    if last is not None and both and last["name"] == output["name"]:
        last["text"] += output["text"]
    else:
        outputs.append(dict(output))


def _public(output: Output) -> Output:
    return {key: value for key, value in output.items() if not key.startswith("_")}
