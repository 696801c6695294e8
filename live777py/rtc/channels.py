"""The data channels of one session: aiortc's SCTP (RFC 8831, RFC 8832) over our DTLS, its memory and time bounded.

aiortc's coroutines wait for nothing here, as the transport below them never makes them wait: they are run to their end
where they are called, without a task.
"""

from __future__ import annotations

import asyncio
import logging
import struct
import time
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcsctptransport import (
    CHUNK_CLASSES,
    DATA_CHANNEL_ACK,
    DATA_CHANNEL_OPEN,
    WEBRTC_BINARY,
    WEBRTC_BINARY_EMPTY,
    WEBRTC_DCEP,
    WEBRTC_STRING,
    WEBRTC_STRING_EMPTY,
    BaseInitChunk,
    BaseParamsChunk,
    DataChunk,
    ForwardTsnChunk,
    RTCSctpCapabilities,
    RTCSctpTransport,
    SackChunk,
    tsn_minus_one,
    tsn_plus_one,
)
from aiortc.utils import uint32_gt

from live777py.rtc.sctp_section import MAX_MESSAGE_SIZE, PORT

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from aiortc import RTCDtlsTransport

    from live777py.rtc.parameters import DataChannelParameters

Message = str | bytes

MAX_BUFFERED: Final = 1024 * 1024
"""Bytes that wait for one peer; a slow one loses what comes on top."""
MAX_WAITING: Final = 1024
"""Messages that wait for one peer, however small."""
MAX_CHANNELS: Final = 256
OPEN_GRACE: Final = 1.0
"""Seconds that a peer has to open channels of its own before one is opened for it."""
CPU_SHARE: Final = 0.3
"""Of a core: what one peer's packets may cost, forwarding included. Those above are lost, so its SCTP slows down."""
CPU_BURST: Final = 1.0

_PROTOCOL = "live777py"
"""RFC 8832 section 5.1, of channels that a gateway opens: one of them is for one label, not for all that comes."""
_MAX_OPEN_SIZE = 2048
_MAX_AHEAD = 1024
_MAX_REASSEMBLY = 2048
_RTO_INITIAL = 1.0  # RFC 9260 section 16; aiortc has the 3 s of RFC 4960
_COMMON_HEADER = 12
_CHUNK = struct.Struct("!BxH")
_PARAMETER = struct.Struct("!xxH")
_PARAMETERS_AT = {
    kind.type: 20 if issubclass(kind, BaseInitChunk) else 4
    for kind in CHUNK_CLASSES
    if issubclass(kind, BaseInitChunk | BaseParamsChunk)
}

_logger = logging.getLogger(__name__)


class DataChannels:
    """`start` once DTLS is up, `received` for each packet, `close` before DTLS ends.

    `lost` counts messages that were not sent to the peer, `ignored` packets and messages of the peer that were too
    much, too large or no text.
    """

    def __init__(
        self,
        parameters: DataChannelParameters,
        *,
        dtls_role: Literal["client", "server"],
        send: Callable[[bytes], None],
        on_message: Callable[[str, Message], None],
        first_label: str | None = None,
    ) -> None:
        """`send` takes SCTP packets. `on_message` is given the label of the channel, empty where nobody told it.

        A channel called `first_label` is opened as soon as there is an association.
        """
        self.lost = 0
        self.ignored = 0
        self._parameters = parameters
        self._carrier = _Carrier(dtls_role, send)
        self._on_message = on_message
        self.first_label = first_label
        self.now = asyncio.get_running_loop().time
        self._association: _Association | None = None
        self._ended = False
        self._credit = CPU_BURST
        self._credited_at = self.now()

    @property
    def open(self) -> bool:
        """Whether the association stands."""
        return self._association is not None and self._association.established_at is not None

    def start(self) -> None:
        if self._association is None and not self._ended:
            self._association = _Association(self._carrier, self)
            capabilities = RTCSctpCapabilities(maxMessageSize=self._parameters.max_message_size)
            _finish(self._association.start(capabilities, self._parameters.port))

    def received(self, packet: bytes) -> None:
        """An SCTP packet of the peer. Raises nothing, whatever it holds: what breaks the rules ends the association."""
        self.start()
        association = self._association
        if association is None:
            return
        if not self._affordable():
            self.ignored += 1
            return
        began = time.thread_time()
        try:
            if _readable(packet):
                _finish(association._handle_data(packet))
            association.require_bounds()
        except (ValueError, struct.error, LookupError, AssertionError) as error:
            _logger.debug("SCTP association aborted: %r", error)
            self.close()
        self._credit -= time.thread_time() - began

    def send(self, label: str, message: Message) -> bool:
        """Queue a message on the channel of that label, else on the peer's first, else on one that is opened for it.

        False if it is lost: the association is not up, the peer is slow, or the message is too large for it.
        """
        association = self._association
        sent = association is not None and association.send(label, message)
        self.lost += not sent
        return sent

    def close(self) -> None:
        """Abort the association; idempotent."""
        association, self._association = self._association, None
        self._ended = True
        if association is not None:
            _finish(association.stop())

    def _affordable(self) -> bool:
        now = self.now()
        self._credit = min(CPU_BURST, self._credit + (now - self._credited_at) * CPU_SHARE)
        self._credited_at = now
        return self._credit > 0

    # What the association tells

    def message_received(self, label: str, message: Message) -> None:
        if not self._ended:
            self._on_message(label, message)

    def association_closed(self) -> None:
        self._association = None
        self._ended = True


class _Carrier:
    """What aiortc takes for a DTLS transport."""

    state = "connected"

    def __init__(self, role: Literal["client", "server"], send: Callable[[bytes], None]) -> None:
        self._role = role
        self._send = send

    def _register_data_receiver(self, receiver: object) -> None:
        pass

    def _unregister_data_receiver(self, receiver: object) -> None:
        pass

    async def _send_data(self, data: bytes) -> None:
        self._send(data)


class _Association(RTCSctpTransport):
    """aiortc's SCTP, without trust in the peer."""

    def __init__(self, carrier: _Carrier, owner: DataChannels) -> None:
        super().__init__(cast("RTCDtlsTransport", carrier), PORT)
        self._rto = _RTO_INITIAL
        self._owner = owner
        self.established_at: float | None = None
        self._now = owner.now

    def send(self, label: str, message: Message) -> bool:
        if self.established_at is None:
            return False
        identifier, data = _encoded(message)
        largest = self._remote_max_message_size or MAX_MESSAGE_SIZE
        if len(data) > largest or len(self._data_channel_queue) >= MAX_WAITING:
            return False
        if sum(channel.bufferedAmount for channel in self._data_channels.values()) + len(data) > MAX_BUFFERED:
            return False
        channel = self._channel(label)
        if channel is None:
            return False
        channel._addBufferedAmount(len(data))
        self._data_channel_queue.append((channel, identifier, data))
        _finish(self._data_channel_flush())
        return True

    def require_bounds(self) -> None:
        """Raises `ValueError` if more waits to be put together than a peer that keeps to our window can send."""
        waiting = sum(len(stream.reassembly) for stream in self._inbound_streams.values())
        if self._advertised_rwnd < 0 or waiting > _MAX_REASSEMBLY or len(self._inbound_streams) > 2 * MAX_CHANNELS:
            raise ValueError("more data than the window allows")

    def _channel(self, label: str) -> RTCDataChannel | None:
        usable = [channel for channel in self._data_channels.values() if channel.readyState in ("connecting", "open")]
        for channel in usable:
            if channel.label == label and (channel.readyState == "open" or channel.protocol == _PROTOCOL):
                return channel
        for channel in usable:
            if channel.readyState == "open" and channel.protocol != _PROTOCOL:
                return channel
        waited = self._now() - (self.established_at or 0.0)
        if len(usable) >= MAX_CHANNELS or (not usable and waited < OPEN_GRACE):
            return None
        return self._open(label)

    def _open(self, label: str) -> RTCDataChannel:
        parameters = RTCDataChannelParameters(label=label, protocol=_PROTOCOL, id=self._free_stream())
        return RTCDataChannel(self, parameters)

    def _free_stream(self) -> int:
        """RFC 8832 section 6: the DTLS client uses even streams."""
        stream = 1 if self.is_server else 0
        while stream in self._data_channels or stream in self._inbound_streams:
            stream += 2
        return stream

    # Where aiortc is stopped short

    async def _receive_data_chunk(self, chunk: DataChunk) -> None:
        """Chunks that came too far ahead of a lost one count as lost themselves; SCTP sends them again."""
        last = self._last_received_tsn
        if last is None:
            raise ValueError("data before the association")
        if len(self._sack_misordered) < _MAX_AHEAD or chunk.tsn == tsn_plus_one(last):
            await super()._receive_data_chunk(chunk)

    async def _receive_forward_tsn_chunk(self, chunk: ForwardTsnChunk) -> None:
        if self._last_received_tsn is None:
            raise ValueError("data before the association")
        await super()._receive_forward_tsn_chunk(chunk)

    async def _receive_sack_chunk(self, chunk: SackChunk) -> None:
        """aiortc walks through every number that a gap block names."""
        named = 0
        for first, last in chunk.gaps:
            if not 1 <= first <= last:
                raise ValueError("a gap block that ends before it begins")
            named += last - first + 1
        if named > len(self._sent_queue) or uint32_gt(chunk.cumulative_tsn, tsn_minus_one(self._local_tsn)):
            raise ValueError("an acknowledgement of what was not sent")
        await super()._receive_sack_chunk(chunk)

    async def _receive(self, stream_id: int, pp_id: int, data: bytes) -> None:
        """A whole message."""
        channel = self._data_channels.get(stream_id)
        if pp_id == WEBRTC_DCEP:
            opens = data[:1] == bytes([DATA_CHANNEL_OPEN])
            if opens and channel is not None and channel.negotiated:
                del self._data_channels[stream_id]  # its data overtook its announcement
                channel = None
            if opens and (channel is not None or self._full or len(data) > _MAX_OPEN_SIZE):
                self._owner.ignored += 1
            elif opens or (data == bytes([DATA_CHANNEL_ACK]) and channel is not None):
                await super()._receive(stream_id, pp_id, data)
            return
        message = _decoded(pp_id, data)
        if message is None or (channel is None and self._full):
            self._owner.ignored += 1
            return
        if channel is None:  # agreed on out of band (W3C WebRTC, `negotiated`), which only the peer's page knows
            channel = RTCDataChannel(self, RTCDataChannelParameters(negotiated=True, id=stream_id))
        self._owner.message_received(channel.label, message)

    @property
    def _full(self) -> bool:
        return len(self._data_channels) >= MAX_CHANNELS

    def _set_state(self, state: RTCSctpTransport.State) -> None:
        super()._set_state(state)
        if state is self.State.ESTABLISHED and self.established_at is None:
            self.established_at = self._now()
            if self._owner.first_label is not None:
                self._open(self._owner.first_label)
        elif state is self.State.CLOSED:
            self.established_at = None
            # A transmission that was scheduled before would start its timer again, for ever.
            self._outbound_queue.clear()
            self._sent_queue.clear()
            self._data_channel_queue.clear()
            self._forward_tsn_chunk = None
            self._owner.association_closed()


def _readable(packet: bytes) -> bool:
    """Whether every parameter has a length: aiortc would read one without for ever."""
    at = _COMMON_HEADER
    while at + _CHUNK.size <= len(packet):
        kind, length = _CHUNK.unpack_from(packet, at)
        if length < _CHUNK.size:
            return False
        parameter = at + _PARAMETERS_AT.get(kind, length)
        while parameter + _PARAMETER.size <= min(at + length, len(packet)):
            (size,) = _PARAMETER.unpack_from(packet, parameter)
            if size < _PARAMETER.size:
                return False
            parameter += size + -size % 4
        at += length + -length % 4
    return True


def _encoded(message: Message) -> tuple[int, bytes]:
    """RFC 8831 section 6.6: SCTP has no empty messages."""
    if isinstance(message, str):
        return (WEBRTC_STRING, message.encode()) if message else (WEBRTC_STRING_EMPTY, b"\0")
    return (WEBRTC_BINARY, message) if message else (WEBRTC_BINARY_EMPTY, b"\0")


def _decoded(identifier: int, data: bytes) -> Message | None:
    """None for what is larger than was allowed, no UTF-8, or of a kind that nobody sends any more."""
    if len(data) > MAX_MESSAGE_SIZE:
        return None
    if identifier == WEBRTC_BINARY:
        return data
    if identifier == WEBRTC_STRING:
        try:
            return data.decode()
        except UnicodeDecodeError:
            return None
    if identifier == WEBRTC_STRING_EMPTY:
        return ""
    return b"" if identifier == WEBRTC_BINARY_EMPTY else None


def _finish(coroutine: Coroutine[Any, Any, None]) -> None:
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise AssertionError("aiortc has waited for something")
