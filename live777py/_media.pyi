"""The media engine: everything that happens per packet, in Rust, without the GIL.

This file is the whole conversation between control and media. `live777py.media` is the only package that imports it.

Commands return at once. Each carries a `request` number that the caller chose, and is answered by exactly one
`Response` with that number. Responses and notifications leave through one ordered queue: `fileno()` becomes readable,
`poll()` empties it. Transports, tracks, subscriptions and taps are numbered by the caller; no number is used twice.

A malformed argument raises `ValueError` at the call; what only the media thread can know (an unknown id, an id in use)
is the `error` of the response. After `close()` every command raises `EngineClosed`; `fileno()` and `poll()` work on, so
that the last responses can be read.
"""

from collections.abc import Sequence
from typing import Literal, final

from typing_extensions import Buffer

__version__: str

class EngineClosed(RuntimeError): ...

Kind = Literal["audio", "video"]
FrameCodec = Literal["H264", "H265", "VP8", "VP9", "AV1", "opus", "PCMU", "PCMA", "G722"]
SrtpProfile = Literal["AEAD_AES_128_GCM", "AEAD_AES_256_GCM", "AES128_CM_HMAC_SHA1_80"]
ErrorCode = Literal["unknown_id", "id_in_use", "invalid_state", "invalid_argument", "limit_reached", "no_socket"]
IceRole = Literal["lite", "controlling", "controlled"]

@final
class IceParameters:
    """RFC 8445 credentials of both ends. A remote ufrag that is not known yet is None (it is learned by PATCH)."""

    def __new__(
        cls,
        *,
        role: IceRole,
        local_ufrag: str,
        local_pwd: str,
        remote_ufrag: str | None = None,
        remote_pwd: str | None = None,
    ) -> IceParameters: ...

@final
class CodecParameters:
    """One payload type of an m-section. `name` is the rtpmap encoding name in any case, `clock_rate` in Hz.

    A codec that the engine does not know is forwarded as it is: without key frames, picture size and layers.
    `parameter_sets`: NAL units of H264 and H265 that the description has, for taps of a stream that lacks them.
    """

    def __new__(
        cls,
        *,
        payload_type: int,
        name: str,
        clock_rate: int,
        rtx_payload_type: int | None = None,
        nack: bool = False,
        pli: bool = False,
        fir: bool = False,
        transport_cc: bool = False,
        remb: bool = False,
        parameter_sets: Sequence[bytes] = ...,
    ) -> CodecParameters: ...

@final
class EncodingParameters:
    """One encoding of a track: known by rid (RFC 8852), by SSRC, or (both None) by MID or payload type alone."""

    def __new__(
        cls, *, rid: str | None = None, ssrc: int | None = None, rtx_ssrc: int | None = None
    ) -> EncodingParameters: ...

@final
class TrackParameters:
    """What a publisher sends in one m-section. `extensions` maps header extension ids (1-255) to URIs."""

    def __new__(
        cls,
        *,
        kind: Kind,
        mid: str | None,
        codecs: Sequence[CodecParameters],
        encodings: Sequence[EncodingParameters],
        extensions: Sequence[tuple[int, str]] = (),
        local_ssrc: int,
    ) -> TrackParameters: ...

@final
class SubscriptionParameters:
    """What a viewer gets in one m-section, as its answer says it: our SSRCs, its payload types and extension ids.

    With `rid` it carries one layer of simulcast under that name, as a publisher does: every packet has the RID (RFC
    8852; a retransmission by RTX the repaired RID) if `extensions` has it, and what `select_layer` chose is forwarded,
    or nothing. MID and RID have at most 30 bytes together.
    """

    def __new__(
        cls,
        *,
        kind: Kind,
        mid: str | None,
        ssrc: int,
        rtx_ssrc: int | None = None,
        cname: str,
        codecs: Sequence[CodecParameters],
        extensions: Sequence[tuple[int, str]] = (),
        rid: str | None = None,
    ) -> SubscriptionParameters: ...

@final
class SourceParameters:
    """What a source writes: the payload type under which subscriptions find it, and the codec, one of `FrameCodec`."""

    def __new__(cls, *, codec: CodecParameters) -> SourceParameters: ...

@final
class Frame:
    """One encoded picture, or the sound of one packet. Whole, always: what lost a part is not there.

    `memoryview(frame)` shows the bytes without copying them:

    * H264, H265: one access unit in Annex B form, start codes of four bytes, the parameter sets in front of key frames;
    * VP8, VP9: one frame; the layers of a VP9 picture are one superframe (VP9 bitstream specification, annex B);
    * AV1: one temporal unit of OBUs with sizes, without temporal delimiter;
    * sound: the payload of one packet.

    Frames come from taps, in the order of decoding. Programs make them for tests and tools.
    """

    timestamp: int
    """In units of `clock_rate`, without wrapping, starting anywhere. It goes on over a change of source."""
    clock_rate: int
    wallclock: float
    """Unix time in seconds at which it was sampled, by one clock for all tracks of a publisher. Until `synced`, it is
    derived from arrival; where that becomes true it may go back, elsewhere only where `timestamp` does."""
    synced: bool
    """A sender report of the publisher says what `wallclock` is."""
    key_frame: bool
    """Decoding can begin here; always true of sound."""
    gap: bool
    """Something between the frame before and this one is missing, or the source has changed. Up to the next key frame
    it may refer to what is missing."""
    width: int
    """Of a key frame, in pixels, cropping applied; else 0, and where the codec does not tell."""
    height: int
    codec: FrameCodec
    rid: str | None

    def __new__(
        cls,
        data: bytes | bytearray | memoryview | Frame,
        *,
        codec: FrameCodec,
        timestamp: int,
        clock_rate: int,
        wallclock: float,
        synced: bool = True,
        key_frame: bool = True,
        gap: bool = False,
        width: int = 0,
        height: int = 0,
        rid: str | None = None,
    ) -> Frame: ...
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

@final
class Response:
    """The answer to the command that carried `request`. `value` is set by `stats`, `dump` and `open_transport`: the
    `ip:port` of the sockets that only this transport has."""

    request: int
    error: ErrorCode | None
    message: str | None
    value: Stats | str | list[str] | None

@final
class IceConnected:
    """The first nominated pair, or a later migration: `remote` is `ip:port`, `local` the socket's `ip:port`.

    `protocol` is `udp` or `tcp`.
    """

    transport: int
    local: str
    remote: str
    protocol: str

@final
class ReflexiveAddress:
    """A STUN server saw the socket `local` as `address`, both `ip:port`."""

    transport: int
    local: str
    address: str

@final
class IceLost:
    """Consent expired: no authenticated packet for 30 s (RFC 7675). The transport still exists; close it."""

    transport: int

@final
class Dtls:
    """One DTLS datagram from an address that ICE authenticated."""

    transport: int
    data: bytes

@final
class TrackStarted:
    """First media of an encoding, or a change of its payload type or picture size (0x0 while unknown)."""

    track: int
    rid: str | None
    ssrc: int
    payload_type: int
    width: int
    height: int

@final
class TrackSilent:
    """No packet of the track for two seconds."""

    track: int

@final
class LayerChanged:
    """The subscription forwards another encoding, or other spatial and temporal layers of it, from now on. The numbers
    are those of the highest layers; 0 where the encoding has but one."""

    subscription: int
    rid: str | None
    spatial: int
    temporal: int

@final
class FramesReady:
    """A tap has frames. It is not said again before they are taken."""

    tap: int

    def take(self) -> tuple[list[Frame], int]:
        """What the tap has by now, which may be nothing, and how many frames it has forgotten since the last call
        because it was full: whole groups of pictures, the oldest first."""

@final
class TapEnded:
    """The track is gone. What the last `FramesReady` told of can still be taken; nothing follows."""

    tap: int

@final
class KeyFrameNeeded:
    """A viewer or a tap of the source `track` waits for a key frame. Repeated twice a second until one is written."""

    track: int

@final
class Closed:
    """The engine gave up on a worker (`reason` says why); every transport of it is gone."""

    worker: int
    reason: str

Event = (
    IceConnected
    | ReflexiveAddress
    | IceLost
    | Dtls
    | TrackStarted
    | TrackSilent
    | LayerChanged
    | FramesReady
    | TapEnded
    | KeyFrameNeeded
    | Closed
)

@final
class TransportStats:
    transport: int
    worker: int
    connected: bool
    remote: str | None
    packets_received: int
    bytes_received: int
    packets_sent: int
    bytes_sent: int
    srtp_rejected: int
    """Datagrams that failed SRTP authentication or the replay check."""
    datagrams_ignored: int
    """Datagrams that no rule of the transport accepted (unparsable, unauthenticated, unknown SSRC)."""
    rtt_ms: float | None
    """Round trip by its receiver reports."""
    available_bitrate: int | None
    """What the path to a viewer has been seen to carry, in bit/s, UDP and IP included; None while nothing is known."""
    silent_ms: float | None
    """Since the last authenticated RTP, RTCP or STUN packet; None before the first."""

@final
class TrackStats:
    track: int
    transport: int
    rid: str | None
    ssrc: int
    payload_type: int
    packets: int
    bytes: int
    """RTP payload and header bytes of media packets, repaired ones included."""
    lost: int
    """Packets that never came, repair included."""
    repaired: int
    reordered: int
    """Packets that came behind later ones, without having been asked for."""
    nacks_sent: int
    plis_sent: int
    key_frames: int
    frames: int
    """Pictures that were whole and could be decoded: all before them had come, or a key frame. 0 of sound."""
    freezes: int
    """Times that the next picture took three times as long as usual, and 150 ms longer (freezeCount of W3C
    webrtc-stats), the one that lasts included."""
    freeze_ms: float
    """Sum of these times."""
    first_packet_ms: float | None
    """Since the transport was opened; a client of WHIP or WHEP opens it when it sends its offer."""
    first_key_frame_ms: float | None
    """When the first key frame was whole."""
    jitter_ms: float
    width: int
    height: int
    bitrate: int
    """RTP header and payload over the last second, in bits per second."""
    active: bool
    """It has sent within the last two seconds."""
    layers: list[LayerStats]
    """From the cheapest to the best; empty where the encoding has no spatial and temporal layers."""

@final
class LayerStats:
    """What there is to choose from in an encoding: everything up to a spatial and a temporal layer."""

    spatial: int
    temporal: int
    width: int
    height: int
    bitrate: int
    """Of these layers and all below them, in bits per second."""
    frame_rate: float
    active: bool
    """It is being sent."""

@final
class SubscriptionStats:
    subscription: int
    transport: int
    track: int | None
    rid: str | None
    """Of the encoding that is forwarded now; `spatial` and `temporal` are the highest layers of it."""
    spatial: int
    temporal: int
    packets: int
    bytes: int
    retransmitted: int
    nacks_received: int
    nacks_unanswered: int
    plis_received: int
    replayed: int
    """Those of `packets` that it was shown of the past."""
    dropped: int
    """Packets of its track that did not leave when they came; `WorkerStats.packets_dropped` has the reasons."""
    lost: int
    """Packets that the viewer has missed so far, by its newest receiver report."""
    fraction_lost: float
    """From the newest receiver report, 0.0-1.0."""
    jitter_ms: float

@final
class TapStats:
    tap: int
    track: int
    rid: str | None
    codec: FrameCodec | None
    """None before the first packet that it can read."""
    frames: int
    bytes: int
    key_frames: int
    lost_packets: int
    """Packets that it has waited for in vain."""
    damaged: int
    """Frames that are absent because a part of them was lost or malformed."""
    skipped: int
    """Frames before the first key frame of a source."""
    dropped: int
    """Frames that it has forgotten because it was full."""
    queued_frames: int
    queued_bytes: int
    waiting_packets: int
    """Packets that wait for one before them."""
    synced: bool

@final
class SourceStats:
    track: int
    worker: int
    ssrc: int
    frames: int
    key_frames: int
    packets: int
    bytes: int
    """RTP header and payload."""
    refused: int
    """Frames that are empty, too large or not of the codec's form."""
    key_frames_needed: int

@final
class WorkerStats:
    worker: int
    thread_cpu_seconds: float
    datagrams_received: int
    datagrams_sent: int
    send_calls: int
    send_errors: int
    gso: bool
    unknown_datagrams: int
    relay_dropped: int
    """Packets that a full queue between workers did not take."""
    tcp_connections: int
    """Open now; what follows only grows."""
    tcp_accepted: int
    tcp_refused: int
    """Connections that were one too many."""
    tcp_rejected: int
    """Connections that proved nothing in time, or were none of ours."""
    tcp_datagrams_sent: int
    tcp_datagrams_dropped: int
    """Of peers that read too slowly."""

    # The counters of all transports, tracks and subscriptions that the worker has or had: they stay when one goes.
    packets_received: int
    packets_sent: int
    srtp_rejected: int
    datagrams_ignored: int
    lost: int
    repaired: int
    nacks_sent: int
    plis_sent: int
    key_frames: int
    retransmitted: int
    nacks_received: int
    nacks_unanswered: int
    plis_received: int

    # For each packet of a track and each subscription to it: it left, or there is a reason.
    # packets_offered == packets_forwarded - packets_replayed + sum(packets_dropped.values())
    packets_offered: int
    packets_forwarded: int
    """Without retransmissions."""
    packets_replayed: int
    """Those of them that were of the past when the viewer came."""
    packets_dropped: dict[str, int]
    """By reason: `not_connected`, `paused`, `waiting_for_key_frame`, `other_layer` and `other_encoding` (what the
    viewer does not get), `no_payload_type`, `padding` (its number is closed up), `late` (of what was never begun, or
    is forgotten), `replayed` (it follows in its turn). Reasons that did not occur are left out."""

@final
class Stats:
    workers: list[WorkerStats]
    transports: list[TransportStats]
    tracks: list[TrackStats]
    """Of publishers; `sources` has the others."""
    subscriptions: list[SubscriptionStats]
    taps: list[TapStats]
    sources: list[SourceStats]

def length_prefixed(data: Buffer) -> bytes:
    """The NAL units of an access unit in Annex B form (H264, H265), each behind its length in four bytes: the sample
    format of ISO/IEC 14496-15. Empty ones are left out."""

@final
class Engine:
    """The media threads. `sockets` are the UDP addresses of each worker, `sockets[worker] = ["ip:port", ...]`;
    `listeners` in the same way the TCP addresses where peers connect (RFC 6544), none where it is empty.

    Raises `OSError` (with errno) when an address cannot be bound. Port 0 picks a free one; see `addresses()`.
    A new viewer of a video track is shown its current group of pictures from the key frame on, if that has at most
    `gop_cache_bytes` and is at most `gop_cache_ms` old (either 0: never); `gop_cache_replays` viewers of a worker at
    once. Without `bandwidth_estimation` a viewer's network has no say in the layer that it gets.
    """

    def __new__(
        cls,
        *,
        sockets: Sequence[Sequence[str]],
        listeners: Sequence[Sequence[str]] = ...,
        gop_cache_bytes: int = ...,
        gop_cache_ms: int = ...,
        gop_cache_replays: int = ...,
        bandwidth_estimation: bool = ...,
    ) -> Engine: ...
    def addresses(self) -> list[list[str]]: ...
    def tcp_addresses(self) -> list[list[str]]: ...
    def fileno(self) -> int: ...
    def poll(self) -> list[Response | Event]: ...
    def close(self) -> None: ...

    # A transport lives on one worker for good; its tracks and subscriptions follow it.
    # With `own_socket` it shares no socket: it has one on each local IP of the worker, on ports that the system
    # chooses, which close with it. A server tells the sessions of one client from each other by the 5-tuple alone.
    def open_transport(
        self, request: int, transport: int, *, worker: int, ice: IceParameters, own_socket: bool = False
    ) -> None: ...
    def close_transport(self, request: int, transport: int) -> None: ...
    def add_remote_candidate(self, request: int, transport: int, *, address: str, priority: int) -> None: ...
    def discover_reflexive(self, request: int, transport: int, *, server: str) -> None: ...
    def restart_ice(self, request: int, transport: int, *, ice: IceParameters) -> None: ...
    def send_dtls(self, transport: int, data: bytes) -> None: ...
    def install_keys(
        self,
        request: int,
        transport: int,
        *,
        profile: SrtpProfile,
        local_key: bytes,
        local_salt: bytes,
        remote_key: bytes,
        remote_salt: bytes,
    ) -> None: ...
    def add_track(self, request: int, transport: int, track: int, *, parameters: TrackParameters) -> None: ...
    def remove_track(self, request: int, track: int) -> None: ...
    def subscribe(
        self, request: int, transport: int, subscription: int, *, parameters: SubscriptionParameters
    ) -> None: ...
    def unsubscribe(self, request: int, subscription: int) -> None: ...

    # The packets of a track leave through a subscription from its next key frame on; sequence numbers and timestamps
    # continue those of the track attached before. `payload_types` maps the track's to the subscription's. A
    # refused attach leaves the subscription detached.
    def attach(
        self, request: int, subscription: int, track: int, *, payload_types: Sequence[tuple[int, int]]
    ) -> None: ...
    def detach(self, request: int, subscription: int) -> None: ...

    # With `rid`, `spatial` or `temporal` the viewer is pinned: it gets that, and the best of what is not named,
    # whatever its network. Else what it gets follows its network. Either keeps within the limits; a picture that is
    # the smallest is always allowed. A spatial or temporal layer comes with those below it, and a number too high is
    # the highest. Who plays AV1 without the dependency
    # descriptor gets the smallest picture, with all its temporal layers.
    def select_layer(
        self,
        request: int,
        subscription: int,
        *,
        rid: str | None = None,
        spatial: int | None = None,
        temporal: int | None = None,
        max_width: int | None = None,
        max_height: int | None = None,
        max_spatial: int | None = None,
        max_temporal: int | None = None,
    ) -> None: ...
    def pause(self, request: int, subscription: int, *, paused: bool) -> None: ...
    def request_key_frame(self, request: int, track: int) -> None: ...

    # A tap reads a track as frames: of the best encoding, as a viewer gets it, from a key frame on. It lives where the
    # track does. `capacity` bounds the bytes of what waits to be taken. With `interval_ms` it tells of frames at
    # multiples of that time only, all taps at the same instant, so that many of them wake the reader once. Video begins
    # with the group of pictures that it is in, if that is cached and its key frame at most `past_ms` old.
    def open_tap(
        self, request: int, tap: int, track: int, *, capacity: int, interval_ms: int = 0, past_ms: int = 0
    ) -> None: ...
    def close_tap(self, request: int, tap: int) -> None: ...

    # A source is a track that is written: subscriptions attach to it and taps open on it as on any other.
    def open_source(self, request: int, track: int, *, worker: int, parameters: SourceParameters) -> None: ...
    def close_source(self, request: int, track: int) -> None: ...

    # In the form and the units of `Frame`; nothing happens on a source that is gone. `wallclock` is Unix time in
    # seconds by one clock for all sources that belong together, None if there is none.
    def write_frame(
        self,
        track: int,
        data: bytes | bytearray | memoryview | Frame,
        *,
        timestamp: int,
        wallclock: float | None = None,
        key_frame: bool,
    ) -> None: ...
    def stats(self, request: int) -> None: ...
    def dump(self, request: int) -> None: ...
