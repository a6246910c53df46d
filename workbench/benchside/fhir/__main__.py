"""`python -m benchside.fhir`: serve a file of resources by hand, or copy a server into a file."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from benchside.errors import BenchsideError
from benchside.fhir.copying import copy_server
from benchside.fhir.parameters import PARAMETERS
from benchside.fhir.resource_file import read_resources
from benchside.fhir.server import make_app
from benchside.fhir.store import FhirStore, write_template

app = typer.Typer(
    help="Benchside's FHIR R4 server.", no_args_is_help=True, add_completion=False,
    pretty_exceptions_enable=False, rich_markup_mode=None,
)  # fmt: skip


@app.command()
def serve(
    files: Annotated[list[Path], typer.Argument(help="Resources as .ndjson or .ndjson.gz.")],
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8080,
    written: Annotated[Path | None, typer.Option(help="Keep what is written here.")] = None,
) -> None:
    """Serve resources at http://127.0.0.1:PORT/ until interrupted; the files stay as they are."""
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder) / "fhir.sqlite"
        count = write_template(template, [one for path in files for one in read_resources(path)])
        print(f"{count} resources at http://127.0.0.1:{port}/ (try /metadata)")
        with FhirStore(template, written=written) as store:
            uvicorn.run(make_app(store), host="127.0.0.1", port=port, log_level="warning")


@app.command()
def copy(
    url: Annotated[str, typer.Argument(help="Base of a FHIR server.")],
    out: Annotated[Path, typer.Argument(help="File to write: .ndjson or .ndjson.gz.")],
    kind: Annotated[list[str] | None, typer.Option(help="Only these types.")] = None,
) -> None:
    """Copy a server's resources into a file, from which suites and `serve` can read them."""
    for name, count in copy_server(url, kind or list(PARAMETERS), out).items():
        print(f"{name}: {count}")


if __name__ == "__main__":
    try:
        app()
    except BenchsideError as error:
        print(f"benchside.fhir: {error}", file=sys.stderr)
        sys.exit(2)
