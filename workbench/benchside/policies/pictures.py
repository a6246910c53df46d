"""`Picture`: images that cells displayed, as models that can see are shown them.

Bounded in number and size: at most `PER_CELL` of a cell and `IN_ALL` of a conversation, the newest,
each scaled down to `MAX_SIDE_PX`; what was left out or scaled is said in its place. The transcript
keeps references (`ShownImage`) to the cells' outputs, which hold the images already.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from PIL import Image

from benchside.policy import Conversation, Message, ShownImage, Turn
from benchside_kernels.output import joined

PER_CELL = 4
IN_ALL = 16
MAX_SIDE_PX = 1024
MAX_DECODED_PX = 40_000_000
MIMES = ("image/png", "image/jpeg")


@dataclass(frozen=True, slots=True)
class Picture:
    """One image, encoded as base64, and the line of text that stands before it."""

    mime: str
    data: str
    note: str


@dataclass(frozen=True, slots=True)
class Said:
    """A message, and the images that go with it."""

    message: Message
    pictures: tuple[Picture, ...] = ()


def shown_chat(conversation: Conversation, sees: bool) -> tuple[list[Said], tuple[ShownImage, ...]]:
    """Return a conversation's messages as a model is shown them, and the images that are new to it.

    Args:
        sees: the model is shown images; they go with the first observation of their cell.
    """
    if not sees:
        return [Said(message) for message in conversation.messages], ()
    turns = conversation.turns
    found = [list(_images(turn)) for turn in turns]
    left = IN_ALL
    chosen: list[list[_Found]] = []
    for images in reversed(found):
        kept = images[: min(PER_CELL, left)]
        left -= len(kept)
        chosen.insert(0, kept)
    chat = [Said(message) for message in conversation.opening]
    for turn, images in zip(turns, chosen, strict=True):
        chat.append(Said(turn.action.message))
        pictures = tuple(image.picture for image in images)
        for place, message in enumerate(turn.observations):
            chat.append(Said(message, pictures if place == 0 else ()))
    return chat, tuple(image.shown for image in chosen[-1]) if chosen else ()


@dataclass(frozen=True, slots=True)
class _Found:
    picture: Picture
    shown: ShownImage


def _images(turn: Turn) -> Iterator[_Found]:
    """The images of a turn's cell that can be shown, where its observation still names them."""
    named = any("[image/" in (message.content or "") for message in turn.observations)
    if turn.result is None or not named:
        return
    for place, output in enumerate(turn.result.outputs):
        data: Mapping[str, Any] = output.get("data", {})
        mime = next((mime for mime in MIMES if mime in data), None)
        scaled = None if mime is None else _scaled(mime, joined(data[mime]))
        if mime is None or scaled is None:
            continue
        note = f"[{mime}, {scaled.width}×{scaled.height}"
        if scaled.before != (scaled.width, scaled.height):
            note += f", scaled down from {scaled.before[0]}×{scaled.before[1]}"
        yield _Found(
            Picture(mime, scaled.data, f"{note}]"),
            ShownImage(
                cell_id=turn.result.cell_id, output=place, mime=mime, width=scaled.width,
                height=scaled.height, scaled=scaled.before != (scaled.width, scaled.height),
            ),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Scaled:
    data: str
    width: int
    height: int
    before: tuple[int, int]


@lru_cache(maxsize=64)  # a conversation is shown again at each turn
def _scaled(mime: str, data: str) -> _Scaled | None:
    """An image small enough to be shown; None for what is none, or would not fit into memory."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(data)), formats=("PNG", "JPEG")) as image:
            before = image.size
            if before[0] * before[1] > MAX_DECODED_PX:
                return None
            if max(before) <= MAX_SIDE_PX:
                return _Scaled("".join(data.split()), *before, before)
            image.load()
            image.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
            buffer = io.BytesIO()
            image.save(buffer, format=mime.removeprefix("image/").upper())
            return _Scaled(base64.b64encode(buffer.getvalue()).decode(), *image.size, before)
    # what a cell displays may be anything: cut off, no image at all, or a bomb
    except (OSError, ValueError, SyntaxError, binascii.Error, Image.DecompressionBombError):
        return None
