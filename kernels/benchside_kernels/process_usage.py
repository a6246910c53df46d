"""What a running process has used so far, from /proc, by descriptors that are opened once."""

from __future__ import annotations

import contextlib
import os

_TICKS = os.sysconf("SC_CLK_TCK")


class ProcessUsage:
    """CPU time and peak memory of one process; None where /proc does not tell.

    Args:
        pid: as numbered here. The descriptors stay with this process, even if the number is used
            again.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._files: dict[str, int] = {}
        with contextlib.suppress(OSError):
            for name in ("stat", "status"):
                self._files[name] = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)

    def cpu_s(self) -> float | None:
        """CPU time in seconds, with that of reaped children."""
        fields = self._read("stat").rpartition(b")")[2].split()
        return sum(map(int, fields[11:15])) / _TICKS if fields else None

    def peak_mib(self) -> float | None:
        """Peak resident memory in MiB."""
        _, name, peak = self._read("status").partition(b"VmHWM:")
        return int(peak.split(maxsplit=1)[0]) / 1024 if name else None

    def close(self) -> None:
        """Close the descriptors."""
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()

    def _read(self, name: str) -> bytes:
        try:
            return os.pread(self._files[name], 4096, 0)
        except (KeyError, OSError):
            return b""
