"""A network namespace of the test's own, entered by this thread and by every program that it starts meanwhile."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS = "10.77.0.1"
"""Of an interface that leads nowhere: its packets stay in the namespace."""

CLONE_NEWNET = 0x40000000
SET_UP = (
    "link set lo up",
    "link add near type veth peer name far",
    f"address add {ADDRESS}/24 dev near",
    "link set near up",
    "link set far up",
    "route add default dev near",
)


def _checked(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@contextlib.contextmanager
def network_namespace() -> Iterator[str]:
    """Needs CAP_SYS_ADMIN. Yields the namespace's one address beside loopback."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as before:  # noqa: PTH123 (its descriptor is what setns takes)
        _checked(libc.unshare(CLONE_NEWNET))
        try:
            for command in SET_UP:
                subprocess.run(["ip", *command.split()], check=True, timeout=10)
            yield ADDRESS
        finally:
            _checked(libc.setns(before.fileno(), CLONE_NEWNET))
