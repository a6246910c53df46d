"""Keys of all backends reach their servers and nothing else that a run leaves or shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail

from benchside.library import Suite
from benchside.policies.keys import KEYRING_SERVICE, find_key
from tests.workbench.chat_server import ChatServer, Step, status
from tests.workbench.policies.dialects import ANTHROPIC, DIALECTS, GEMINI, OPENAI

# looks for the keys as an agent would; what it finds would stand in the transcript
LOOK = """
import glob, os
seen = [f"{name}={value}" for name, value in os.environ.items()]
for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
    try:
        seen.append(open(path, errors="replace").read())
    except OSError:
        pass
parts = [line for text in seen for line in text.split("\\0") if "plant" + "ed" in line]
print(len(seen) > 3, parts)
"""


def test_planted_keys_are_nowhere_but_at_their_servers(
    suite: Suite, home: Path, tmp_path: Path
) -> None:
    keys = {one.variable: f"planted-{one.form}-0123456789abcdef" for one in DIALECTS}
    out = tmp_path / "run"
    evaluation = {"suites": [{"name": "power", "limit": 1}], "parallel": 1, "policies": []}
    servers = []
    try:
        for one in (OPENAI, ANTHROPIC, GEMINI):
            key = keys[one.variable]
            told = json.dumps({"error": {"message": f"no such key: {key}"}}).encode()
            server = ChatServer(
                one.say("ok"), one.call(("run_cell", {"code": LOOK})), status(500, key),
                Step(key.encode()), Step(told, status=401),
            )  # fmt: skip
            servers.append(server.__enter__())
            evaluation["policies"].append(
                {
                    "policy": f"{one.form}:m", "base_url": one.url(server), "cache": True,
                    "backoff_s": 0.001,
                }
            )  # fmt: skip
        config = tmp_path / "config.yaml"
        config.write_text(json.dumps(evaluation))
        done = subprocess.run(
            [sys.executable, "-m", "benchside", "evaluate", str(config), "--out", str(out)],
            capture_output=True, text=True, timeout=100, check=False,
            env={**os.environ, **keys, "BENCHSIDE_HOME": str(home)},
        )  # fmt: skip
    finally:
        for server in servers:
            server.__exit__(None, None, None)
    for one, server in zip(DIALECTS, servers, strict=True):
        assert len(server.requests) >= 4
        assert {one.key(request) for request in server.requests} == {keys[one.variable]}
    texts = {"stdout": done.stdout, "stderr": done.stderr}
    for folder in (out, home):
        texts |= {
            str(path): path.read_bytes().decode(errors="replace")
            for path in folder.rglob("*") if path.is_file()
        }  # fmt: skip
    shown = "".join(texts.values())
    assert "[API key]" in shown, "servers that repeat their key were heard"
    assert "True []" in shown, "a kernel has looked for the keys"
    assert [where for where, text in texts.items() if "planted-" in text] == []


class _Memory(KeyringBackend):
    priority = -1.0  # never chosen by itself

    def get_password(self, service: str, username: str) -> str | None:
        return {(KEYRING_SERVICE, "OPENAI_API_KEY"): "from-keyring"}.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        raise AssertionError("keys are only read")


def test_a_key_comes_from_the_environment_before_the_keyring(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keyring.set_keyring(_Memory())
    try:
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        found = find_key(("OPENAI_API_KEY",))
        assert found.get_secret_value() == "from-keyring" and "from-keyring" not in repr(found)
        assert find_key(("ANTHROPIC_API_KEY_OF_NOBODY",)).get_secret_value() == ""
        monkeypatch.setenv("OPENAI_API_KEY", "from-environment")
        assert find_key(("OPENAI_API_KEY",)).get_secret_value() == "from-environment"
    finally:
        keyring.set_keyring(fail.Keyring())
