"""`Host`: an entry of a kernel's allow-list, by the name that code in the kernel uses.

Standard library only: it travels with requests to the supervisor.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

UNIX = "unix:"
_NAME = re.compile(r"([a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\]):([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Host:
    """A host that a kernel may reach, and where it is.

    Args:
        name: "host:port" as the kernel's code names it, in lower case; compared as text, so that
            an address is allowed only where it is listed itself.
        upstream: "host:port" or "unix:/path" on the machine that runs Benchside, where connections
            really go; empty: to `name`, resolved there.

    Raises:
        ValueError: one of the two is malformed; the message says how it should look.
    """

    name: str
    upstream: str = ""

    def __post_init__(self) -> None:
        split(self.name)
        if self.upstream.startswith(UNIX):
            if not self.upstream.startswith(f"{UNIX}/"):
                raise ValueError(f"upstream {self.upstream!r} needs an absolute path: unix:/path")
        elif self.upstream:
            split(self.upstream)

    @property
    def address(self) -> str:
        """Where connections go."""
        return self.upstream or self.name


def split(name: str) -> tuple[str, int]:
    """Return host and port of "host:port"; the brackets of an IPv6 address are gone.

    Raises:
        ValueError: it is malformed.
    """
    found = _NAME.fullmatch(name)
    if found is None or not 0 < int(found[3]) < 65536:
        raise ValueError(
            f"{name[:200]!r} is no host: write name:port in lower case, such as example.org:443"
        )
    return found[1].strip("[]"), int(found[3])
