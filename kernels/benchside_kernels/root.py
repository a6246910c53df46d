"""The root: imports once what cells need, builds the shell, and forks a zygote for each image.

A zygote is so there in tens of milliseconds, and shares with all others the memory of what is
imported. The root loads no image and forks no kernel, so nothing of one image gets to another. It
refuses to come up with more than one thread, as zygotes do.

Control socket (inherited, packets). In: the `RootSpec`; then {"zygote": number} with two
descriptors: the zygote's control socket and the file that it writes its errors to.
Out: {"ready": MiB} or {"failed": why}; {"made": number} with a pidfd of the zygote's outer process;
{"refused": why, "number": number}. Its end is the end of the root and of all zygotes and kernels.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import resource
import select
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, TypedDict

from benchside_kernels import linux, namespaces, packets, tree, zygote
from benchside_kernels.cradle import Nursery
from benchside_kernels.kernel_sandbox import SandboxSpec
from benchside_kernels.memory_file import move_memory
from benchside_kernels.namespaces import Walls


class RootSpec(TypedDict):
    """What a root is made of.

    Args:
        modules: imported before the first fork, where they are installed.
        home: Benchside home, where the list of fonts is.
        sandbox: the `SandboxSpec` as a dict; of it, what the walls need.
    """

    modules: list[str]
    home: str
    sandbox: dict[str, Any]


def main(control_fd: int) -> None:
    """Run a root on an inherited control socket."""
    control = socket.socket(fileno=control_fd)
    packet = packets.receive(control)
    if packet is None:
        return
    spec: Any = packet[0]
    walls = namespaces.enter_walls(SandboxSpec.from_dict(spec["sandbox"]), keep=(control_fd,))
    linux.name_process("bs-root")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    nursery = Nursery(control)
    gc.disable()  # what is imported stays: looking through it again and again finds nothing
    shell = _warm(spec["modules"], Path(spec["home"]))
    del sys.argv[1:]  # what started the root is not for cells that parse arguments
    gc.collect()
    gc.freeze()
    threads = zygote.thread_names()
    if len(threads) > 1:
        reason = f"the root has {len(threads)} threads: {', '.join(threads)}"
        packets.send(control, {"failed": reason})
        sys.exit(3)
    move_memory()
    packets.send(control, {"ready": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024})
    _serve(control, walls, nursery, shell)
    os._exit(0)  # to take apart what was imported would take a second


def _warm(modules: Sequence[str], home: Path) -> Any:
    """Import modules; return the shell."""
    from benchside_kernels import shell, startup  # noqa: PLC0415 (heavy; inside the sandbox)

    startup.take_font_list(home)
    for module in modules:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(module)
    return shell.build_shell({}, tree.TMP)


def _serve(control: socket.socket, walls: Walls, nursery: Nursery, shell: Any) -> None:
    """Fork zygotes until the control socket ends, or there is no nursery any more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a child or orphan has ended
    poll = select.poll()
    for stream in (control, nursery.stream):
        poll.register(stream, select.POLLIN)
    while True:
        ready = [descriptor for descriptor, _ in poll.poll()]
        if nursery.stream.fileno() in ready:
            raise SystemExit("the nursery has ended")
        packet = packets.receive(control)
        if packet is None:
            return
        message, fds = packet
        try:
            number = message["zygote"]
            if len(fds) < 2:
                raise OSError(packets.shortage())
            pid = os.fork()
            if pid == 0:
                _become_zygote(control, walls, nursery, shell, *fds)
            pidfd = os.pidfd_open(pid)
            packets.send(control, {"made": number}, [pidfd])
            os.close(pidfd)
        except OSError as error:
            packets.send(control, {"refused": str(error), "number": number})
        finally:
            for fd in fds:
                os.close(fd)


def _become_zygote(
    root_control: socket.socket, walls: Walls, nursery: Nursery, shell: Any, control: int, log: int
) -> NoReturn:
    """In the child: let go of what is the root's, and be a zygote."""
    code = 1
    try:
        root_control.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for stream in (1, 2):
            os.dup2(log, stream)
        zygote.run(socket.socket(fileno=control), walls, nursery.stream, shell)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)
