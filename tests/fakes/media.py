"""An engine without network or threads: the names of `live777py._media`, its ids, errors and queue, driven by the test.

`tests/media/test_contract.py` runs the same tests over this and over the real one.
"""

from __future__ import annotations

import itertools
import os
import select
import socket
from collections import deque
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from live777py.media import native
from live777py.media.addresses import SocketAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


length_prefixed = native.length_prefixed

_KEY_LENGTHS = {
    "AEAD_AES_128_GCM": (16, 12),
    "AEAD_AES_256_GCM": (32, 12),
    "AES128_CM_HMAC_SHA1_80": (16, 14),
}


class EngineClosed(RuntimeError):
    pass


@dataclass(frozen=True, kw_only=True)
class IceParameters:
    role: str
    local_ufrag: str
    local_pwd: str
    remote_ufrag: str | None = None
    remote_pwd: str | None = None


@dataclass(frozen=True, kw_only=True)
class CodecParameters:
    payload_type: int
    name: str
    clock_rate: int
    rtx_payload_type: int | None = None
    nack: bool = False
    pli: bool = False
    fir: bool = False
    transport_cc: bool = False
    remb: bool = False
    parameter_sets: Sequence[bytes] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.payload_type <= 127:
            raise ValueError(f"payload type {self.payload_type}")


@dataclass(frozen=True, kw_only=True)
class EncodingParameters:
    rid: str | None = None
    ssrc: int | None = None
    rtx_ssrc: int | None = None


@dataclass(frozen=True, kw_only=True)
class TrackParameters:
    kind: str
    mid: str | None
    codecs: Sequence[CodecParameters]
    encodings: Sequence[EncodingParameters]
    extensions: Sequence[tuple[int, str]] = ()
    local_ssrc: int


@dataclass(frozen=True, kw_only=True)
class SubscriptionParameters:
    kind: str
    mid: str | None
    ssrc: int
    rtx_ssrc: int | None = None
    cname: str
    codecs: Sequence[CodecParameters]
    extensions: Sequence[tuple[int, str]] = ()
    rid: str | None = None


@dataclass(frozen=True)
class Response:
    request: int
    error: str | None = None
    message: str | None = None
    value: Any = None


@dataclass(frozen=True)
class IceConnected:
    transport: int
    local: str
    remote: str
    protocol: str = "udp"


@dataclass(frozen=True)
class ReflexiveAddress:
    transport: int
    local: str
    address: str


@dataclass(frozen=True)
class IceLost:
    transport: int


@dataclass(frozen=True)
class Dtls:
    transport: int
    data: bytes


@dataclass(frozen=True)
class TrackStarted:
    track: int
    rid: str | None
    ssrc: int
    payload_type: int
    width: int
    height: int


@dataclass(frozen=True)
class TrackSilent:
    track: int


@dataclass(frozen=True)
class LayerChanged:
    subscription: int
    rid: str | None
    spatial: int = 0
    temporal: int = 0


@dataclass(frozen=True, kw_only=True)
class SourceParameters:
    codec: CodecParameters


class Frame(bytes):
    """Bytes, so that it has the buffer protocol on every Python."""

    def __new__(
        cls,
        data: Any,
        *,
        codec: str,
        timestamp: int,
        clock_rate: int,
        wallclock: float,
        synced: bool = True,
        key_frame: bool = True,
        gap: bool = False,
        width: int = 0,
        height: int = 0,
        rid: str | None = None,
    ) -> Frame:
        frame = super().__new__(cls, data)
        frame.codec, frame.timestamp, frame.clock_rate, frame.wallclock = codec, timestamp, clock_rate, wallclock
        frame.synced, frame.key_frame, frame.gap = synced, key_frame, gap
        frame.width, frame.height, frame.rid = width, height, rid
        return frame

    codec: str
    timestamp: int
    clock_rate: int
    wallclock: float
    synced: bool
    key_frame: bool
    gap: bool
    width: int
    height: int
    rid: str | None


@dataclass
class FramesReady:
    """`frames` are what `take` gives, once."""

    tap: int
    frames: list[Any]
    dropped: int = 0

    def take(self) -> tuple[list[Any], int]:
        taken, self.frames, dropped, self.dropped = self.frames, [], self.dropped, 0
        return taken, dropped


@dataclass(frozen=True)
class TapEnded:
    tap: int


@dataclass(frozen=True)
class KeyFrameNeeded:
    track: int


@dataclass(frozen=True)
class Closed:
    worker: int
    reason: str


@dataclass(kw_only=True)
class TransportStats:
    transport: int
    worker: int = 0
    connected: bool = True
    remote: str | None = None
    packets_received: int = 0
    bytes_received: int = 0
    packets_sent: int = 0
    bytes_sent: int = 0
    rtt_ms: float | None = None
    available_bitrate: int | None = None
    silent_ms: float | None = None


@dataclass(kw_only=True)
class LayerStats:
    spatial: int
    temporal: int
    width: int = 0
    height: int = 0
    bitrate: int = 0
    frame_rate: float = 0.0
    active: bool = True


@dataclass(kw_only=True)
class TrackStats:
    track: int
    transport: int = 0
    rid: str | None = None
    packets: int = 0
    bytes: int = 0
    lost: int = 0
    repaired: int = 0
    reordered: int = 0
    frames: int = 0
    freezes: int = 0
    freeze_ms: float = 0.0
    first_packet_ms: float | None = None
    first_key_frame_ms: float | None = None
    width: int = 0
    height: int = 0
    bitrate: int = 0
    active: bool = True
    layers: list[LayerStats] = field(default_factory=list)


@dataclass(kw_only=True)
class SubscriptionStats:
    subscription: int
    transport: int = 0
    track: int | None = None
    rid: str | None = None
    spatial: int = 0
    temporal: int = 0
    packets: int = 0
    bytes: int = 0
    lost: int = 0
    retransmitted: int = 0


@dataclass(kw_only=True)
class TapStats:
    tap: int
    track: int = 0
    frames: int = 0
    dropped: int = 0


@dataclass(kw_only=True)
class SourceStats:
    track: int
    frames: int = 0
    refused: int = 0


@dataclass
class Stats:
    workers: list[Any] = field(default_factory=list)
    transports: list[TransportStats] = field(default_factory=list)
    tracks: list[TrackStats] = field(default_factory=list)
    subscriptions: list[SubscriptionStats] = field(default_factory=list)
    taps: list[TapStats] = field(default_factory=list)
    sources: list[SourceStats] = field(default_factory=list)


@dataclass
class FakeTransport:
    worker: int
    ice: IceParameters
    sockets: list[socket.socket] = field(default_factory=list)
    """Its own ones."""
    keys: dict[str, Any] | None = None
    candidates: list[tuple[str, int]] = field(default_factory=list)
    servers: list[str] = field(default_factory=list)
    """Asked for reflexive addresses."""
    on_dtls: Callable[[bytes], None] | None = None
    """Where `send_dtls` goes: the peer of the test."""


class Engine:
    """`transports`, `tracks`, `subscriptions`, `attached`, `layers` (those pinned by rid), `limits` (what else was
    chosen), `paused`, `taps` (their tracks),
    `sources` and `written` (what each source was given) show what control has asked for.

    `counters` is what `stats` answers. `emit` puts an event on the queue. While `held` is set nothing is answered.
    """

    def __init__(
        self,
        *,
        sockets: Sequence[Sequence[str]],
        listeners: Sequence[Sequence[str]] = (),
        gop_cache_bytes: int = 0,
        gop_cache_ms: int = 0,
        gop_cache_replays: int = 1,
        bandwidth_estimation: bool = True,
    ) -> None:
        self.bandwidth_estimation = bandwidth_estimation
        self.gop_cache = (gop_cache_bytes, gop_cache_ms, gop_cache_replays)
        self.transports: dict[int, FakeTransport] = {}
        self.tracks: dict[int, tuple[int, TrackParameters]] = {}
        self.subscriptions: dict[int, tuple[int, SubscriptionParameters]] = {}
        self.attached: dict[int, tuple[int, tuple[tuple[int, int], ...]]] = {}
        self.layers: dict[int, str] = {}
        self.limits: dict[int, dict[str, int]] = {}
        self.paused: set[int] = set()
        self.taps: dict[int, int] = {}
        self.sources: dict[int, SourceParameters] = {}
        self.written: dict[int, list[tuple[bytes, int, float | None, bool]]] = {}
        self.counters = Stats()
        self.held = False
        self._queue: deque[Any] = deque()
        self._closed = False
        if listeners and len(listeners) != len(sockets):
            raise ValueError("listeners: expected addresses for each worker")
        for text in itertools.chain(*sockets, *listeners):
            SocketAddress.parse(text)
        self._sockets = [[_bind(text) for text in worker] for worker in sockets]
        self._listeners = [[_bind(text) for text in worker] for worker in listeners or [[] for _ in sockets]]
        self._read, self._write = os.pipe()

    def addresses(self) -> list[list[str]]:
        return [[_name(bound) for bound in worker] for worker in self._sockets]

    def tcp_addresses(self) -> list[list[str]]:
        """Nobody can connect to them."""
        return [[_name(bound) for bound in worker] for worker in self._listeners]

    def fileno(self) -> int:
        return self._read

    def poll(self) -> list[Any]:
        if self.held:
            return []
        if not self._closed and select.select([self._read], [], [], 0)[0]:
            os.read(self._read, 4096)
        items = list(self._queue)
        self._queue.clear()
        return items

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for sockets in [
            *self._sockets,
            *self._listeners,
            *(transport.sockets for transport in self.transports.values()),
        ]:
            for bound in sockets:
                bound.close()
        os.close(self._read)
        os.close(self._write)

    def emit(self, event: object) -> None:
        self._queue.append(event)
        os.write(self._write, b"\0")

    def open_transport(
        self, request: int, transport: int, *, worker: int, ice: IceParameters, own_socket: bool = False
    ) -> None:
        self._require_open()
        if not 0 <= worker < len(self._sockets):
            self._answer(request, "invalid_argument", f"no worker {worker}")
        elif transport in self.transports:
            self._answer(request, "id_in_use", f"transport {transport}")
        else:
            shared = self._sockets[worker] if own_socket else []
            own = [_bind(_name(other, port=0)) for other in shared]
            self.transports[transport] = FakeTransport(worker, ice, own)
            self._answer(request, value=[_name(bound) for bound in own])

    def close_transport(self, request: int, transport: int) -> None:
        self._require_open()
        closed = self.transports.pop(transport, None)
        if closed is None:
            self._answer(request, "unknown_id", f"transport {transport}")
            return
        for bound in closed.sockets:
            bound.close()
        gone = {track for track, (owner, _) in self.tracks.items() if owner == transport}
        self.tracks = {track: entry for track, entry in self.tracks.items() if track not in gone}
        self.subscriptions = {key: entry for key, entry in self.subscriptions.items() if entry[0] != transport}
        self.attached = {
            subscription: (track, payload_types)
            for subscription, (track, payload_types) in self.attached.items()
            if subscription in self.subscriptions and track not in gone
        }
        self._end_taps(gone)
        self._answer(request)

    def add_remote_candidate(self, request: int, transport: int, *, address: str, priority: int) -> None:
        self._require_open()
        SocketAddress.parse(address)
        entry = self.transports.get(transport)
        if entry is None:
            self._answer(request, "unknown_id", f"transport {transport}")
        else:
            entry.candidates.append((address, priority))
            self._answer(request)

    def discover_reflexive(self, request: int, transport: int, *, server: str) -> None:
        self._require_open()
        SocketAddress.parse(server)
        entry = self.transports.get(transport)
        if entry is None:
            self._answer(request, "unknown_id", f"transport {transport}")
        else:
            entry.servers.append(server)
            self._answer(request)

    def restart_ice(self, request: int, transport: int, *, ice: IceParameters) -> None:
        self._require_open()
        entry = self.transports.get(transport)
        if entry is None:
            self._answer(request, "unknown_id", f"transport {transport}")
        else:
            entry.ice = ice
            entry.candidates.clear()
            self._answer(request)

    def send_dtls(self, transport: int, data: bytes) -> None:
        self._require_open()
        entry = self.transports.get(transport)
        if entry is not None and entry.on_dtls is not None:
            entry.on_dtls(data)

    def install_keys(
        self,
        request: int,
        transport: int,
        *,
        profile: str,
        local_key: bytes,
        local_salt: bytes,
        remote_key: bytes,
        remote_salt: bytes,
    ) -> None:
        self._require_open()
        if profile not in _KEY_LENGTHS:
            raise ValueError(f"profile {profile}")
        lengths = {(len(local_key), len(local_salt)), (len(remote_key), len(remote_salt))}
        if lengths != {_KEY_LENGTHS[profile]}:
            raise ValueError("key length")
        entry = self.transports.get(transport)
        if entry is None:
            self._answer(request, "unknown_id", f"transport {transport}")
        elif entry.keys is not None:
            self._answer(request, "invalid_state", "keys are installed once")
        else:
            entry.keys = {"profile": profile, "local_key": local_key, "remote_key": remote_key}
            self._answer(request)

    def add_track(self, request: int, transport: int, track: int, *, parameters: TrackParameters) -> None:
        self._require_open()
        if transport not in self.transports:
            self._answer(request, "unknown_id", f"transport {transport}")
        elif track in self.tracks:
            self._answer(request, "id_in_use", f"track {track}")
        else:
            self.tracks[track] = (transport, parameters)
            self._answer(request)

    def subscribe(self, request: int, transport: int, subscription: int, *, parameters: SubscriptionParameters) -> None:
        self._require_open()
        if transport not in self.transports:
            self._answer(request, "unknown_id", f"transport {transport}")
        elif subscription in self.subscriptions:
            self._answer(request, "id_in_use", f"subscription {subscription}")
        else:
            self.subscriptions[subscription] = (transport, parameters)
            self._answer(request)

    def attach(self, request: int, subscription: int, track: int, *, payload_types: Sequence[tuple[int, int]]) -> None:
        self._require_open()
        if subscription not in self.subscriptions or not (track in self.tracks or track in self.sources):
            self._answer(request, "unknown_id", f"subscription {subscription}, track {track}")
        else:
            self.attached[subscription] = (track, tuple(payload_types))
            self._answer(request)

    def detach(self, request: int, subscription: int) -> None:
        self._require_open()
        if subscription not in self.subscriptions:
            self._answer(request, "unknown_id", f"subscription {subscription}")
        else:
            self.attached.pop(subscription, None)
            self._answer(request)

    def select_layer(self, request: int, subscription: int, *, rid: str | None = None, **limits: int | None) -> None:
        """`limits`: the other keyword arguments, None where nothing is limited."""
        self._require_open()
        if subscription not in self.subscriptions:
            self._answer(request, "unknown_id", f"subscription {subscription}")
            return
        if rid is None:
            self.layers.pop(subscription, None)
        else:
            self.layers[subscription] = rid
        self.limits[subscription] = {name: limit for name, limit in limits.items() if limit is not None}
        self._answer(request)

    def pause(self, request: int, subscription: int, *, paused: bool) -> None:
        self._require_open()
        if subscription not in self.subscriptions:
            self._answer(request, "unknown_id", f"subscription {subscription}")
            return
        (self.paused.add if paused else self.paused.discard)(subscription)
        self._answer(request)

    def request_key_frame(self, request: int, track: int) -> None:
        self._require_open()
        self._answer(request, *(() if track in self.tracks else ("unknown_id", f"track {track}")))

    def open_tap(self, request: int, tap: int, track: int, *, capacity: int, interval_ms: int = 0) -> None:  # noqa: ARG002
        self._require_open()
        if track not in self.tracks and track not in self.sources:
            self._answer(request, "unknown_id", f"track {track}")
        elif tap in self.taps:
            self._answer(request, "id_in_use", f"tap {tap}")
        else:
            self.taps[tap] = track
            self._answer(request)

    def close_tap(self, request: int, tap: int) -> None:
        self._require_open()
        self._answer(request, *(() if self.taps.pop(tap, None) is not None else ("unknown_id", f"tap {tap}")))

    def open_source(self, request: int, track: int, *, worker: int, parameters: SourceParameters) -> None:
        self._require_open()
        if not 0 <= worker < len(self._sockets):
            self._answer(request, "invalid_argument", f"no worker {worker}")
        elif track in self.sources or track in self.tracks:
            self._answer(request, "id_in_use", f"track {track}")
        else:
            self.sources[track] = parameters
            self.written[track] = []
            self._answer(request)

    def close_source(self, request: int, track: int) -> None:
        self._require_open()
        if self.sources.pop(track, None) is None:
            self._answer(request, "unknown_id", f"track {track}")
        else:
            self._end_taps({track})
            self._answer(request)

    def write_frame(
        self, track: int, data: Any, *, timestamp: int, wallclock: float | None = None, key_frame: bool
    ) -> None:
        self._require_open()
        if track in self.sources:
            self.written[track].append((bytes(data), timestamp, wallclock, key_frame))

    def stats(self, request: int) -> None:
        self._require_open()
        self._answer(request, value=self.counters)

    def dump(self, request: int) -> None:
        self._require_open()
        self._answer(request, value="\n".join(f"transport {transport}" for transport in self.transports) or "empty")

    def _end_taps(self, tracks: set[int]) -> None:
        for tap in [tap for tap, track in self.taps.items() if track in tracks]:
            del self.taps[tap]
            self.emit(TapEnded(tap))

    def _require_open(self) -> None:
        if self._closed:
            raise EngineClosed("the engine is closed")

    def _answer(self, request: int, error: str | None = None, message: str | None = None, value: Any = None) -> None:
        self.emit(Response(request, error, message, value))


def _bind(text: str) -> socket.socket:
    address = SocketAddress.parse(text)
    family = socket.AF_INET if address.ip.version == 4 else socket.AF_INET6
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        bound.bind((str(address.ip), address.port))
    except OSError as error:
        bound.close()
        raise OSError(error.errno, error.strerror, f"UDP {text}") from None
    return bound


def _name(bound: socket.socket, *, port: int | None = None) -> str:
    host, bound_port = bound.getsockname()[:2]
    return str(SocketAddress(ip_address(host), bound_port if port is None else port))
