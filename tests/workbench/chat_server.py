"""A real HTTP server that speaks the OpenAI chat API over a socket and misbehaves on demand.

    with ChatServer(status(500), say("hello")) as server:
        ...  # server.url, server.requests, server.bodies

It plays its script one step per request; the last step repeats.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self

CLOSE_DEADLINE_S = 5.0


@dataclass(frozen=True)
class Step:
    """What the server does with one request.

    Args:
        manner: `send` all of it, `close` the connection at once, `drop` it after half of the body,
            `silent` never answer, or `drip` a byte at a time without end.
        delay_s: before the answer.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    manner: Literal["send", "close", "drop", "silent", "drip"] = "send"
    delay_s: float = 0.0


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


def completion(
    message: Mapping[str, Any],
    *,
    delay_s: float = 0.0,
    beside: Mapping[str, Any] | None = None,
    **choice: Any,
) -> Step:
    """A chat completion with one message; `beside` are fields beside the choices."""
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", **message},
                "finish_reason": "stop",
                **choice,
            }
        ],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
        **(beside or {}),
    }
    return Step(json.dumps(body).encode(), delay_s=delay_s)


def say(text: str) -> Step:
    """Plain text without a tool call."""
    return completion({"content": text})


def call(*calls: tuple[str, object], content: str | None = None, **message: Any) -> Step:
    """Tool calls by name and arguments; arguments that are text go out as they are."""
    sent = [
        {
            "id": f"id-{index}",
            "type": "function",
            "function": {
                "name": name,
                "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments),
            },
        }
        for index, (name, arguments) in enumerate(calls)
    ]
    return completion({"content": content, "tool_calls": sent, **message})


def status(code: int, message: str = "no", **headers: str) -> Step:
    """An error in OpenAI's shape; header names are given with underscores."""
    body = json.dumps({"error": {"message": message, "type": "error", "code": None}})
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Step(body.encode(), status=code, headers=named)


DROP = Step(b'{"choices": [{"message"' * 10, manner="drop")
SILENT = Step(manner="silent")
DRIP = Step(manner="drip")
BROKEN_JSON = Step(b'{"choices": [')
HTML = Step(b"<html>Welcome</html>", content_type="text/html")
NO_CHOICES = Step(b'{"choices": []}')
NO_MESSAGE = Step(b'{"choices": [{"finish_reason": "stop"}]}')


class ChatServer:
    """Serves a script on a port of its own until the block ends.

    Args:
        requests: all requests so far, in order of arrival.
        most_at_once: the largest number of requests that were open at the same time.
    """

    def __init__(self, *script: Step):
        self.script = list(script)
        self.requests: list[Request] = []
        self.most_at_once = 0
        self.closing = threading.Event()
        self._open = 0
        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.chat = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def url(self) -> str:
        return f"{self.root}/v1"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [request.body for request in self.requests]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._http.shutdown()
        self._thread.join(CLOSE_DEADLINE_S)
        self._http.server_close()

    def begin(self, request: Request) -> Step:
        with self._lock:
            step = self.chosen(request)
            self.requests.append(request)
            self._open += 1
            self.most_at_once = max(self.most_at_once, self._open)
        return step

    def chosen(self, request: Request) -> Step:
        """The step for a request that has just arrived."""
        return self.script[min(len(self.requests), len(self.script) - 1)]

    def end(self) -> None:
        with self._lock:
            self._open -= 1


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # server_close waits for the handlers, so that no test leaves any
    chat: ChatServer


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        step = self.server.chat.begin(Request(self.path, headers, body))
        self.close_connection = True
        try:
            self._play(step)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client has gone, as clients with a deadline do
        finally:
            self.server.chat.end()

    def _play(self, step: Step) -> None:
        closing = self.server.chat.closing
        if step.manner == "silent":
            closing.wait()
            return
        closing.wait(step.delay_s)
        if step.manner == "close":
            return
        self.send_response(step.status)
        self.send_header("content-type", step.content_type)
        for name, value in step.headers.items():
            self.send_header(name, value)
        if step.manner == "drip":
            self._drip(closing)
            return
        self.send_header("content-length", str(len(step.body)))
        self.send_header("connection", "close")
        self.end_headers()
        sent = len(step.body) // 2 if step.manner == "drop" else len(step.body)
        self.wfile.write(step.body[:sent])

    def _drip(self, closing: threading.Event) -> None:
        self.send_header("content-length", "1000000")
        self.end_headers()
        deadline = time.monotonic() + CLOSE_DEADLINE_S
        while not closing.wait(0.02) and time.monotonic() < deadline:
            self.wfile.write(b" ")

    def log_message(self, format: str, *args: object) -> None:
        """Silent: tests read `requests` instead."""
