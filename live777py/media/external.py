"""What the world sees of our addresses where NAT is between (`webrtc.external_addrs`)."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import secrets
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from live777py import log
from live777py.media import native
from live777py.media.addresses import SocketAddress
from live777py.media.engine import CommandError, EngineGone

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from live777py.config import ExternalAddress
    from live777py.media.engine import MediaEngine

ASK_AGAIN: Final = 60.0
"""Seconds between two questions: an address that has changed is noticed that soon."""
ASK_SOON: Final = 10.0
"""The same while there was no answer."""
PATIENCE: Final = 3.0
"""Seconds that the start waits for the first answer, and every later question for its own."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ExternalSettings:
    """`server` is the STUN server that "auto" asks, by host and port. `only`: local addresses are not offered too."""

    addresses: tuple[ExternalAddress, ...] = ()
    only: bool = False
    server: tuple[str, int] | None = None


class ExternalAddresses:
    """What each local socket is called outside. Without `settings.addresses` it says nothing and does nothing.

    `start` returns when the STUN server has answered, or after a while; it is asked again until `stop`.
    """

    def __init__(self, engine: MediaEngine, settings: ExternalSettings | None = None) -> None:
        self._engine = engine
        self._settings = settings or ExternalSettings()
        self._told: dict[SocketAddress, SocketAddress] = {}
        """By our UDP sockets: what the STUN server saw."""
        self._asking: asyncio.Task[None] | None = None

    @property
    def only(self) -> bool:
        return self._settings.only

    def of(self, worker: int, local: SocketAddress, *, tcp: bool = False) -> tuple[SocketAddress, ...]:
        """The external addresses of one of a worker's sockets, those of the configuration first."""
        found: dict[SocketAddress, None] = {}
        for entry in self._settings.addresses:
            for address in self._seen(local, tcp=tcp) if entry.ip is None else _mapped(entry, worker, local, tcp=tcp):
                found[address] = None
        return tuple(found)

    async def start(self) -> None:
        server = self._settings.server
        if server is None:
            return
        asked = asyncio.Event()
        self._asking = log.watched(asyncio.create_task(self._ask_for_ever(server, asked), name="external addresses"))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await asked.wait()

    async def stop(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])

    def _seen(self, local: SocketAddress, *, tcp: bool) -> Iterable[SocketAddress]:
        """What is forwarded has our own port in most cases; a NAT that was opened by asking may have another one."""
        if not tcp:
            seen = self._told.get(local)
            if seen is not None:
                yield SocketAddress(seen.ip, local.port)
                yield seen
            return
        for other, seen in self._told.items():
            if other.ip == local.ip:
                yield SocketAddress(seen.ip, local.port)

    async def _ask_for_ever(self, server: tuple[str, int], asked: asyncio.Event) -> None:
        while True:
            try:
                answered = await self._ask(server)
            except (CommandError, EngineGone) as error:
                _logger.warning("external address: the STUN server cannot be asked: %s", error.detail)
                answered = False
            asked.set()
            await asyncio.sleep(ASK_AGAIN if answered else ASK_SOON)

    async def _ask(self, server: tuple[str, int]) -> bool:
        """Ask once, from the sockets of every worker. What is known stays known while nobody answers."""
        targets = await _resolve(*server)
        if not targets:
            _logger.warning("external address: %s is not found", server[0])
            return False
        told: dict[SocketAddress, SocketAddress] = {}
        for worker in range(len(self._engine.addresses)):
            told |= await self._ask_from(worker, targets)
        if not told:
            _logger.warning("external address: the STUN server %s does not answer", server[0])
            return False
        changed = {local: seen for local, seen in told.items() if self._told.get(local) != seen}
        for local, seen in changed.items():
            _logger.info("external address of %s: %s", local, seen)
        self._told |= told
        return True

    async def _ask_from(self, worker: int, targets: Sequence[SocketAddress]) -> dict[SocketAddress, SocketAddress]:
        asker = _Asker(self._engine.next_id())
        # Nobody is told of these, so nobody is answered.
        ice = native.IceParameters(role="lite", local_ufrag=secrets.token_hex(8), local_pwd=secrets.token_hex(16))
        try:
            await self._engine.open_transport(asker.transport, asker, worker=worker, ice=ice)
            sockets = self._engine.addresses[worker]
            for target in targets:
                await self._engine.discover_reflexive(asker.transport, target)
            expected = {local for local in sockets if any(_reaches(local, target) for target in targets)}
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    while not expected <= asker.told.keys():
                        asker.heard.clear()
                        await asker.heard.wait()
            return asker.told
        finally:
            self._engine.close_transport(asker.transport)


class _Asker:
    """A transport that only asks (media.engine.TransportHandler)."""

    def __init__(self, transport: int) -> None:
        self.transport = transport
        self.told: dict[SocketAddress, SocketAddress] = {}
        self.heard = asyncio.Event()

    def reflexive_address(self, local: str, address: str) -> None:
        self.told[SocketAddress.parse(local)] = SocketAddress.parse(address)
        self.heard.set()

    def ice_connected(self, local: str, remote: str, protocol: str) -> None: ...
    def ice_lost(self) -> None: ...
    def dtls_received(self, datagram: bytes) -> None: ...
    def media_changed(self, event: native.TrackStarted | native.TrackSilent | native.LayerChanged) -> None: ...
    def worker_closed(self, reason: str) -> None: ...


def _mapped(entry: ExternalAddress, worker: int, local: SocketAddress, *, tcp: bool) -> Iterable[SocketAddress]:
    if entry.ip is None or entry.ip.version != local.ip.version:
        return
    if local.ip.is_loopback if entry.local_ip is None else entry.local_ip != local.ip:
        return
    if entry.local_port is not None and entry.local_port + worker != local.port:
        return
    if entry.port is None:
        yield SocketAddress(entry.ip, local.port)
    elif entry.local_port is not None or not tcp:
        yield SocketAddress(entry.ip, entry.port + worker)


def _reaches(local: SocketAddress, remote: SocketAddress) -> bool:
    """As the engine has it: one family, and loopback only among itself."""
    return local.ip.version == remote.ip.version and local.ip.is_loopback == remote.ip.is_loopback


async def _resolve(host: str, port: int) -> list[SocketAddress]:
    """One address of each family."""
    with contextlib.suppress(ValueError):
        return [SocketAddress(ipaddress.ip_address(host), port)]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):  # the latter for what cannot be a name, such as one with an empty label
        return []
    addresses = [ipaddress.ip_address(str(place[0]).partition("%")[0]) for *_, place in found]
    first = {address.version: address for address in reversed(addresses)}
    return [SocketAddress(address, port) for address in first.values()]
