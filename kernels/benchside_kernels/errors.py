"""What can go wrong around a kernel, as opposed to inside a cell.

    KernelError
    ├── KernelStartError    the kernel did not come up: infrastructure
    ├── SessionClosedError  the session is used after close(): a bug of the caller
    └── ImageError          a kernel image is missing, damaged or unreadable

A cell that fails, times out or takes its kernel down is no exception: it is a `CellResult`.
"""


class KernelError(Exception):
    """Base of the errors of the kernels room."""


class KernelStartError(KernelError):
    """The kernel process did not answer within its start deadline, or ended before it did."""


class SessionClosedError(KernelError):
    """`run` was called on a session that is closed."""


class ImageError(KernelError):
    """A kernel image is missing, damaged, or made by another version."""
