"""A network namespace of the test's own, entered by this thread and by every program that it starts meanwhile; another
one beside it, with a firewall between."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS = "10.77.0.1"
"""Of an interface that leads nowhere: its packets stay in the namespace."""

GATEWAY = "10.78.0.1"
CLIENT = "10.78.0.2"
"""Both ends of the wire between a `network_namespace` and the one that a `Firewall` is in front of."""

CLONE_NEWNET = 0x40000000
SET_UP = (
    "link set lo up",
    "link add near type veth peer name far",
    f"address add {ADDRESS}/24 dev near",
    "link set near up",
    "link set far up",
    "route add default dev near",
)


# The rule for local addresses is the first of all unless it is made anew.
WIRE = (
    "link add door type veth peer name out",
    f"address add {GATEWAY}/24 dev door",
    "link set door up",
    "rule add preference 10 lookup local",
    "rule delete preference 0",
)
FAR_END = (
    "link set lo up",
    f"address add {CLIENT}/24 dev out",
    "link set out up",
    "rule add preference 10 lookup local",
    "rule delete preference 0",
)

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=10)


def _ip(command: str) -> None:
    _run("ip", *command.split())


@contextlib.contextmanager
def _new_namespace() -> Iterator[int]:
    """Yields a descriptor of the one before."""
    with open("/proc/thread-self/ns/net") as before:  # noqa: PTH123 (its descriptor is what setns takes)
        _checked(_libc.unshare(CLONE_NEWNET))
        try:
            yield before.fileno()
        finally:
            _checked(_libc.setns(before.fileno(), CLONE_NEWNET))


@contextlib.contextmanager
def network_namespace() -> Iterator[str]:
    """Needs CAP_SYS_ADMIN. Yields the namespace's one address beside loopback."""
    with _new_namespace():
        for command in SET_UP:
            _ip(command)
        yield ADDRESS


class Firewall:
    """Between the namespace of this thread and another one. What it drops, it drops without a word."""

    def __init__(self, inside: int) -> None:
        self._inside = inside

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Programs that are started now are behind it."""
        with open("/proc/thread-self/ns/net") as before:  # noqa: PTH123 (its descriptor is what setns takes)
            _checked(_libc.setns(self._inside, CLONE_NEWNET))
            try:
                yield
            finally:
                _checked(_libc.setns(before.fileno(), CLONE_NEWNET))

    def drop_udp(self) -> None:
        _ip("rule add preference 5 iif door ipproto udp blackhole")
        with self.entered():
            _ip("rule add preference 5 iif out ipproto udp blackhole")

    def let_udp_through(self) -> None:
        _ip("rule delete preference 5")
        with self.entered():
            _ip("rule delete preference 5")


@contextlib.contextmanager
def firewall() -> Iterator[Firewall]:
    """To be used within `network_namespace`: the gateway is `GATEWAY` there, who is behind the firewall `CLIENT`."""
    for command in WIRE:
        _ip(command)
    with contextlib.ExitStack() as stack:
        with _new_namespace() as outside:
            here = f"/proc/{os.getpid()}/task/{threading.get_native_id()}/ns/net"
            inside = os.open(here, os.O_RDONLY)
            stack.callback(os.close, inside)
            _run("nsenter", f"--net=/proc/{os.getpid()}/fd/{outside}", "ip", "link", "set", "out", "netns", here)
            for command in FAR_END:
                _ip(command)
        yield Firewall(inside)
