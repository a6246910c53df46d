"""The network of a kernel with hosts: one in which there is nothing but the way to its proxy.

The kernel's network namespace has a loopback device only. On it listens one socket, made by the
zygote before the kernel is confined and served by the host (see `proxy.py`): a socket stays in the
namespace in which it was made. Standard library only: zygotes import it.
"""

from __future__ import annotations

import fcntl
import socket
import struct

ADDRESS, PORT = "127.0.0.1", 3128

_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
_BACKLOG = 64


def listen() -> socket.socket:
    """Bring up the loopback device of this network namespace; return the socket for the proxy.

    Raises:
        OSError: the system refused, as where this process has no CAP_NET_ADMIN.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        fcntl.ioctl(listener, _SIOCSIFFLAGS, struct.pack("=16sh22x", b"lo", _IFF_UP))
        listener.bind((ADDRESS, PORT))
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def environment() -> dict[str, str]:
    """Return what has requests, httpx, urllib and curl take the proxy for every host."""
    url = f"http://{ADDRESS}:{PORT}"
    names = ("http_proxy", "https_proxy", "all_proxy")
    proxies = {case(name): url for name in names for case in (str.lower, str.upper)}
    return {**proxies, "no_proxy": "", "NO_PROXY": ""}
