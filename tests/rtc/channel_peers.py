"""Two ends of SCTP on one event loop, ours and aiortc's own, with a line between them that can lose packets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, cast

from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcsctptransport import RTCSctpCapabilities, RTCSctpTransport

from live777py.rtc.channels import DataChannels, Message
from live777py.rtc.negotiation import DataChannelParameters

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiortc import RTCDtlsTransport

PARAMETERS = DataChannelParameters(port=5000, max_message_size=262_144)


class Stock:
    """aiortc's SCTP, as a browser's stands for itself: DTLS client, even streams."""

    state = "connected"
    _role = "client"

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self.sctp = RTCSctpTransport(cast("RTCDtlsTransport", self))
        self.heard: asyncio.Queue[tuple[str, Message]] = asyncio.Queue()
        self.opened: asyncio.Queue[RTCDataChannel] = asyncio.Queue()
        self.sctp.on("datachannel", self._opened)
        self._output = send

    async def start(self) -> None:
        await self.sctp.start(RTCSctpCapabilities(maxMessageSize=262_144), 5000)

    async def channel(self, label: str, **options: Any) -> RTCDataChannel:
        """A new channel that is open."""
        channel = RTCDataChannel(self.sctp, RTCDataChannelParameters(label=label, **options))
        self.listen(channel)
        if channel.readyState != "open":
            is_open = asyncio.Event()
            channel.on("open", is_open.set)
            async with asyncio.timeout(10):
                await is_open.wait()
        return channel

    def listen(self, channel: RTCDataChannel) -> None:
        channel.on("message", lambda message: self.heard.put_nowait((channel.label, message)))

    def _opened(self, channel: RTCDataChannel) -> None:
        self.listen(channel)
        self.opened.put_nowait(channel)

    def _register_data_receiver(self, receiver: object) -> None:
        pass

    def _unregister_data_receiver(self, receiver: object) -> None:
        pass

    async def _send_data(self, data: bytes) -> None:
        self._output(data)


class Pair:
    """`ours` and `theirs`. `deliver` is asked, by sender and number, whether a packet arrives."""

    def __init__(
        self,
        parameters: DataChannelParameters = PARAMETERS,
        *,
        role: Literal["client", "server"] = "server",
        first_label: str | None = None,
    ) -> None:
        self.deliver: Callable[[str, int], bool] = lambda _sender, _number: True
        self.heard: asyncio.Queue[tuple[str, Message]] = asyncio.Queue()
        self.sent: dict[str, int] = {"ours": 0, "theirs": 0}
        self.ours = DataChannels(
            parameters,
            dtls_role=role,
            send=self._to_theirs,
            on_message=lambda label, message: self.heard.put_nowait((label, message)),
            first_label=first_label,
        )
        self.theirs = Stock(self._to_ours)
        self.theirs._role = "client" if role == "server" else "server"
        self._inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Pair:
        self._reader = asyncio.create_task(self._read(), name="stock sctp")
        await self.theirs.start()
        self.ours.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.ours.close()
        await self.theirs.sctp.stop()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])

    async def hear(self) -> tuple[str, Message]:
        """What ours told of."""
        async with asyncio.timeout(10):
            return await self.heard.get()

    async def they_hear(self) -> tuple[str, Message]:
        async with asyncio.timeout(10):
            return await self.theirs.heard.get()

    async def established(self) -> None:
        async with asyncio.timeout(10):
            while not self.ours.open:  # noqa: ASYNC110 - the line carries on in between
                await asyncio.sleep(0)

    async def _read(self) -> None:
        while True:
            await self.theirs.sctp._handle_data(await self._inbox.get())

    def _arrives(self, sender: str) -> bool:
        number = self.sent[sender]
        self.sent[sender] += 1
        return self.deliver(sender, number)

    def _to_theirs(self, packet: bytes) -> None:
        if self._arrives("ours"):
            self._inbox.put_nowait(packet)

    def _to_ours(self, packet: bytes) -> None:
        if self._arrives("theirs"):
            asyncio.get_running_loop().call_soon(self.ours.received, packet)
