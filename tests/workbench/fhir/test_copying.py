"""Files of resources: copied from a server page by page, read back, and served by hand."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from benchside.errors import InfrastructureError, InputError
from benchside.fhir import copying
from benchside.fhir.copying import copy_server
from benchside.fhir.resource_file import read_resources
from benchside.fhir.store import FhirStore, write_template
from tests.workbench.fhir.serving import Served, served

PEOPLE = [
    {"resourceType": "Patient", "id": f"p{n}", "name": [{"family": f"F{n}"}], "meta": {}}
    for n in range(7)
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    write_template(tmp_path / "template", PEOPLE)
    with served() as running, FhirStore(tmp_path / "template") as running.store:
        yield running


def test_a_copy_holds_all_pages(
    server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "PAGE", 3)
    path = tmp_path / "copy.ndjson.gz"
    assert copy_server(server.url, ["Patient", "Observation"], path) == {
        "Patient": 7, "Observation": 0,
    }  # fmt: skip
    assert [one["id"] for one in read_resources(path)] == [one["id"] for one in PEOPLE]


def test_servers_that_are_none(server: Served, tmp_path: Path) -> None:
    path = tmp_path / "copy.ndjson"
    with pytest.raises(InputError, match="no URL"):
        copy_server("localhost:8080", ["Patient"], path)
    with pytest.raises(InfrastructureError, match="404"):
        copy_server(f"{server.url}/nowhere", ["Patient"], path)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(InfrastructureError, match="the FHIR server failed"):
        copy_server(f"http://127.0.0.1:{port}", ["Patient"], path)
    assert not list(tmp_path.glob("*copy*"))


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"id": "x"}', '{"resourceType": "Patient"}',
             '{"resourceType": "Patient", "id": "x", "birthDate": "soon"}'],
)  # fmt: skip
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "broken.ndjson"
    path.write_text(json.dumps(PEOPLE[0]) + f"\n{line}\n")
    with pytest.raises(InputError, match="line 2"):
        list(read_resources(path))


def test_bundles_are_taken_apart(tmp_path: Path) -> None:
    path = tmp_path / "bundle.ndjson"
    entries = [{"resource": one} for one in (*PEOPLE, {"resourceType": "Unknown"})]
    path.write_text(json.dumps({"resourceType": "Bundle", "entry": entries}))
    assert len(list(read_resources(path))) == len(PEOPLE)


def test_a_file_can_be_served_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "people.ndjson"
    path.write_text("\n".join(json.dumps(one) for one in PEOPLE))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "benchside.fhir", "serve", str(path), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    found = httpx.get(f"http://127.0.0.1:{port}/Patient?family=f3").json()
                    break
                except httpx.ConnectError:
                    assert process.poll() is None and time.monotonic() < deadline
                    time.sleep(0.1)
        finally:
            process.terminate()
    assert found["entry"][0]["resource"]["id"] == "p3"
