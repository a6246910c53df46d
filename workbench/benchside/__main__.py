"""What the `benchside` command does first: its other modules take a second or more to import."""

from __future__ import annotations

import contextlib
import resource
import sys

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def main() -> None:
    """Entry point; Ctrl-C ends it without a traceback, however early."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS does not take its own "unlimited"
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each kernel takes six
    try:
        from benchside.cli import main as command  # noqa: PLC0415 (slow: Ctrl-C may come meanwhile)

        command()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
