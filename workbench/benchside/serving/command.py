"""What `benchside mcp` does, apart from parsing its options."""

from __future__ import annotations

from rich.console import Console

from benchside.errors import InputError
from benchside.serving.desk import Offer, open_desk
from benchside_kernels.startup import home_folder


async def serve_mcp(offer: Offer, idle_s: float, port: int | None, console: Console) -> None:
    """Serve until the client leaves or the user ends it.

    Args:
        port: of the HTTP server; None for stdin and stdout.

    Raises:
        InputError: the package `mcp` is not installed.
    """
    try:
        from benchside.serving.mcp_server import serve_http, serve_stdio  # noqa: PLC0415 (optional)
    except ModuleNotFoundError as error:
        raise InputError(
            f"an MCP server needs a package that is not installed: {error.name}",
            fix="pip install 'benchside[mcp]'",
        ) from None
    async with open_desk(offer, home_folder(), console) as desk:
        if port is None:
            await serve_stdio(desk, idle_s)
        else:
            await serve_http(desk, idle_s, port, lambda line: console.print(line, soft_wrap=True))
