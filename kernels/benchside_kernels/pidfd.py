"""Processes behind pidfds, of which nobody else gets the number: kill them, wait for their end."""

from __future__ import annotations

import asyncio
import contextlib
import signal


def kill(pidfd: int) -> None:
    """Kill a process, unless it has ended."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)


async def ended(pidfd: int, timeout_s: float) -> bool:
    """Wait until a process has ended; False where it has not in time."""
    loop = asyncio.get_running_loop()
    end = loop.create_future()

    def settle() -> None:
        loop.remove_reader(pidfd)
        end.set_result(None)

    loop.add_reader(pidfd, settle)
    try:
        await asyncio.wait_for(end, timeout_s)
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(pidfd)
    return True
