"""Data channels of a stream to and from UDP: `[stream.x.channel]`. It stands on the publisher's side."""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Final

from live777py.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from live777py.streams.settings import SocketAddress, UdpChannel

_LARGEST: Final = 65_535
_AT_ONCE: Final = 64
"""Datagrams that are read before others have their turn."""

_logger = logging.getLogger(__name__)


class UdpBridge:
    """A datagram to `listen`, from whomever, is one binary message; a message is one datagram to `target`.

    It listens from the start, and sends from that port where both addresses are of one family. `lost` counts messages
    that fitted no datagram or no send buffer.
    """

    def __init__(self, channel: UdpChannel, *, on_datagram: Callable[[bytes], None]) -> None:
        """Raises `StartError` where `listen` cannot be had."""
        self.lost = 0
        self.channel = channel
        self._on_datagram = on_datagram
        self._loop = asyncio.get_running_loop()
        with ExitStack() as undo:
            self._input = undo.enter_context(_udp_socket(channel.listen))
            try:
                self._input.bind(channel.listen)
            except OSError as error:
                raise StartError(f"cannot listen on UDP {_text(channel.listen)}: {error.strerror}") from None
            same = _family(channel.target) == self._input.family
            self._output = self._input if same else _udp_socket(channel.target)
            undo.pop_all()
        self._loop.add_reader(self._input, self._readable)

    @property
    def address(self) -> SocketAddress:
        """Where it listens."""
        host, port = self._input.getsockname()[:2]
        return host, port

    def send(self, datagram: bytes) -> None:
        try:
            self._output.sendto(datagram, self.channel.target)
        except OSError as error:
            self.lost += 1
            _logger.debug("a message was not sent to UDP: %s", error)

    def close(self) -> None:
        self._loop.remove_reader(self._input)
        self._input.close()
        self._output.close()

    def _readable(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                datagram = self._input.recv(_LARGEST)
            except OSError:  # nothing is left; what ICMP said about a datagram before is no reason to stop
                return
            self._on_datagram(datagram)


class UdpBridges:
    """Those of the configuration, by stream."""

    def __init__(self, on_datagram: Callable[[str, bytes], None]) -> None:
        self._on_datagram = on_datagram
        self._bridges: dict[str, UdpBridge] = {}

    def get(self, stream: str) -> UdpBridge | None:
        return self._bridges.get(stream)

    def reconfigure(self, channels: Mapping[str, UdpChannel]) -> None:
        """From now on these and no others; what has not changed is not touched.

        Raises `StartError`, and then nothing has changed, where a port is taken, be it by one that would be closed.
        """
        before = self._bridges
        kept = {name: bridge for name, bridge in before.items() if channels.get(name) == bridge.channel}
        with ExitStack() as undo:
            opened = {}
            for name in channels.keys() - kept.keys():
                opened[name] = UdpBridge(channels[name], on_datagram=partial(self._on_datagram, name))
                undo.callback(opened[name].close)
            undo.pop_all()
        self._bridges = {**kept, **opened}
        for name in before.keys() - kept.keys():
            before[name].close()


def _text(address: SocketAddress) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _family(address: SocketAddress) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


def _udp_socket(address: SocketAddress) -> socket.socket:
    """For this one, or one to talk to. Raises `StartError`."""
    try:
        made = socket.socket(_family(address), socket.SOCK_DGRAM)
    except OSError as error:
        raise StartError(f"no UDP socket for {_text(address)}: {error.strerror}") from None
    made.setblocking(False)
    return made
