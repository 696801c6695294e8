"""Taps and sources of the real engine: what encoders give is what decoders get."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from typing import TYPE_CHECKING, Final

import pytest
from aiortc.rtp import RTCP_PSFB_PLI, RTCP_RTPFB_NACK, RtcpPsfbPacket, RtcpRtpfbPacket, RtcpSenderInfo, RtcpSrPacket

from live777py.media import native
from live777py.media.engine import CommandError, EngineGone, MediaEngine
from tests.fakes import media as fake_media
from tests.media import encoded
from tests.media.peer import Console, Peer, Refused, running_console
from tests.media.test_extension import KEY_FRAME, PUBLISHED_SSRC, published, viewed
from tests.media.test_extension import frame as rtp_frame

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from live777py.media.tap import Tap

pytestmark = pytest.mark.skipif(
    native.Engine is fake_media.Engine,  # type: ignore[comparison-overlap]
    reason="the media engine is not built: make ext",
)

NTP_OF_1970: Final = 2_208_988_800
CLOCK_RATES: Final = {"opus": 48_000, "G722": 8_000, "PCMU": 8_000}


@pytest.fixture
async def media() -> AsyncIterator[MediaEngine]:
    engine = MediaEngine([["127.0.0.1:0"], ["127.0.0.1:0"]])
    yield engine
    engine.close()


@pytest.fixture
def console() -> Iterator[Console]:
    with running_console() as running:
        yield running


def codec_parameters(name: str) -> native.CodecParameters:
    return native.CodecParameters(payload_type=96, name=name, clock_rate=CLOCK_RATES.get(name, 90_000))


async def read(tap: Tap, count: int) -> list[native.Frame]:
    """The next frames, at least so many."""
    frames: list[native.Frame] = []
    async with asyncio.timeout(10):
        async for batch in tap:
            frames += batch
            if len(frames) >= count:
                break
    return frames


class TestFrame:
    def test_its_bytes_are_seen_where_they_are(self) -> None:
        frame = native.Frame(b"\0\0\0\1\x65", codec="H264", timestamp=7, clock_rate=90_000, wallclock=1.5)
        view = memoryview(frame)
        assert (view.obj, view.readonly, view.format, len(frame)) == (frame, True, "B", 5)
        assert bytes(view) == bytes(frame) == b"\0\0\0\1\x65"
        del frame
        gc.collect()
        assert view[4] == 0x65, "who looks at the bytes keeps the frame"
        with pytest.raises(TypeError):
            view[0] = 1

    def test_what_is_not_said_is_usual(self) -> None:
        frame = native.Frame(bytearray(3), codec="opus", timestamp=-1, clock_rate=48_000, wallclock=1e9)
        assert (frame.timestamp, frame.clock_rate, frame.wallclock, frame.codec) == (-1, 48_000, 1e9, "opus")
        assert (frame.synced, frame.key_frame, frame.gap, frame.width, frame.height) == (True, True, False, 0, 0)
        assert frame.rid is None
        copy = native.Frame(
            frame,
            codec="VP8",
            timestamp=1,
            clock_rate=90_000,
            wallclock=2,
            synced=False,
            key_frame=False,
            gap=True,
            width=640,
            height=360,
            rid="h",
        )
        assert (bytes(copy), copy.width, copy.height, copy.rid) == (bytes(3), 640, 360, "h")
        assert repr(copy) == "<Frame VP8 3 bytes timestamp=1/90000 wallclock=2.000000 gap>"

    @pytest.mark.parametrize(
        ("field", "value"), [("codec", "red"), ("wallclock", float("nan")), ("clock_rate", -1), ("timestamp", 1 << 80)]
    )
    def test_malformed_arguments(self, field: str, value: object) -> None:
        arguments = {"codec": "VP8", "timestamp": 0, "clock_rate": 90_000, "wallclock": 0.0, field: value}
        with pytest.raises(ValueError, match=r"codec|wallclock|range"):
            native.Frame(b"", **arguments)  # type: ignore[arg-type]


class TestSourceToTap:
    @pytest.mark.parametrize("codec", encoded.VIDEO_ENCODERS)
    async def test_pictures(self, media: MediaEngine, codec: str) -> None:
        written = encoded.pictures(codec, 45)
        start = time.time()
        async with (
            media.source(codec_parameters(codec), worker=1) as source,
            media.tap(source.track, interval=0.02) as tap,
        ):
            for picture in written:
                source.write(
                    picture.data,
                    timestamp=picture.timestamp,
                    wallclock=start + picture.timestamp / 90_000,
                    key_frame=picture.key_frame,
                )
            frames = await read(tap, len(written))
            assert tap.dropped == 0
        assert [bytes(frame) for frame in frames] == [picture.data for picture in written]
        assert [frame.key_frame for frame in frames] == [picture.key_frame for picture in written]
        assert [frame.timestamp for frame in frames] == [picture.timestamp for picture in written]
        assert (frames[0].width, frames[0].height) == (encoded.WIDTH, encoded.HEIGHT)
        for frame in frames:
            assert abs(frame.wallclock - start - frame.timestamp / 90_000) < 0.0002
            assert (frame.codec, frame.clock_rate, frame.synced, frame.gap) == (codec, 90_000, True, False)
        read_back = encoded.numbers(frames, codec)
        assert len(read_back) == 45
        assert max(abs(number - index) for index, number in enumerate(read_back)) <= 3

    @pytest.mark.parametrize("codec", encoded.AUDIO_ENCODERS)
    async def test_sound(self, media: MediaEngine, codec: str) -> None:
        written = encoded.sounds(codec, 20)
        async with (
            media.source(codec_parameters(codec), worker=0) as source,
            media.tap(source.track, interval=0) as tap,
        ):
            for sound in written:
                source.write(memoryview(sound.data), timestamp=sound.timestamp, key_frame=True)
            frames = await read(tap, len(written))
        assert [bytes(frame) for frame in frames] == [sound.data for sound in written]
        assert all(frame.key_frame and not frame.synced and not frame.width for frame in frames)

    async def test_a_tap_in_mid_stream_begins_at_a_key_frame_that_it_asks_for(self, media: MediaEngine) -> None:
        written = encoded.pictures("VP8", 40)
        asked = asyncio.Event()
        async with media.source(codec_parameters("VP8"), worker=0, on_key_frame_needed=asked.set) as source:
            for picture in written[:10]:
                source.write(picture.data, timestamp=picture.timestamp, key_frame=picture.key_frame)
            await media.stats()
            async with media.tap(source.track) as tap, asyncio.timeout(10):
                await asked.wait()
                for picture in written[10:]:
                    source.write(picture.data, timestamp=picture.timestamp, key_frame=picture.key_frame)
                frames = await read(tap, 10)
                assert [bytes(frame) for frame in frames] == [picture.data for picture in written[30:]]
                (row,) = (await media.stats()).taps
        assert (row.frames, row.skipped, row.key_frames, row.codec) == (10, 20, 1, "VP8")

    async def test_a_frame_can_be_written_as_it_was_read(self, media: MediaEngine) -> None:
        """A tap of one track feeds the source of another."""
        written = encoded.pictures("H264", 20)
        async with (
            media.source(codec_parameters("H264"), worker=0) as first,
            media.source(codec_parameters("H264"), worker=1) as second,
            media.tap(first.track, interval=0) as near,
            media.tap(second.track, interval=0) as far,
        ):
            for picture in written:
                first.write(picture.data, timestamp=picture.timestamp, key_frame=picture.key_frame)
            for frame in await read(near, 20):
                second.write(frame, timestamp=frame.timestamp, wallclock=frame.wallclock, key_frame=frame.key_frame)
            frames = await read(far, 20)
        assert [bytes(frame) for frame in frames] == [picture.data for picture in written]

    async def test_a_slow_reader_loses_whole_groups(self, media: MediaEngine) -> None:
        key, delta = KEY_FRAME[1:] + bytes(3000), b"\x11" + bytes(3000)
        written = [encoded.Encoded(delta if n % 10 else key, 3000 * n, not n % 10) for n in range(100)]
        async with media.source(codec_parameters("VP8"), worker=0) as source:
            async with media.tap(source.track, capacity=100_000) as tap:
                for picture in written:
                    source.write(picture.data, timestamp=picture.timestamp, key_frame=picture.key_frame)
                (row,) = (await media.stats()).taps
                frames = await read(tap, 10)
            assert tap.dropped == row.dropped == 100 - len(frames)
            assert tap.dropped in {70, 80}
            assert frames[0].key_frame
            assert frames[0].gap
            assert [bytes(frame) for frame in frames] == [picture.data for picture in written[tap.dropped :]]
            assert row.queued_frames == len(frames)
            assert 60_000 < row.queued_bytes <= 100_000

    async def test_a_frame_that_never_fits_is_not_waited_for(self, media: MediaEngine) -> None:
        async with media.source(codec_parameters("VP8"), worker=0) as source:
            async with media.tap(source.track, capacity=2000, interval=0) as tap:
                reading = asyncio.ensure_future(read(tap, 1))
                source.write(KEY_FRAME[1:], timestamp=0, key_frame=True)
                source.write(b"\x11" + bytes(5000), timestamp=3000, key_frame=False)
                await media.stats()
                source.write(KEY_FRAME[1:], timestamp=6000, key_frame=True)
                (frame,) = await reading
            assert (frame.timestamp, frame.gap, tap.dropped) == (6000, True, 2)

    async def test_a_source_need_not_care_for_key_frames(self, media: MediaEngine) -> None:
        async with media.source(codec_parameters("VP8"), worker=0) as source:
            source.write(b"\x11", timestamp=0, key_frame=False)
            async with media.tap(source.track):
                (row,) = (await media.stats()).sources
                assert (row.key_frames_needed, row.key_frames) == (1, 0)

    async def test_what_cannot_be_packetised_is_counted(self, media: MediaEngine) -> None:
        async with media.source(codec_parameters("opus"), worker=0) as source:
            source.write(bytes(5000), timestamp=0, key_frame=True)
            source.write(b"", timestamp=0, key_frame=True)
            source.write(b"\xfc", timestamp=0, key_frame=True)
            (row,) = (await media.stats()).sources
            assert (row.frames, row.refused, row.packets, row.worker) == (1, 2, 1, 0)
            assert f"track {source.track}: Audio mid None source" in await media.dump()


class TestEnds:
    async def test_a_tap_ends_with_its_track(self, media: MediaEngine) -> None:
        async with media.source(codec_parameters("opus"), worker=0) as source:
            async with media.tap(source.track, interval=60) as tap:
                source.write(b"\xfc", timestamp=0, key_frame=True)
                source.close()
                batches = [batch async for batch in tap]
                assert [[bytes(frame) for frame in batch] for batch in batches] == [[b"\xfc"]]
            source.write(b"\xfc", timestamp=960, key_frame=True)
            source.close()
        assert not (await media.stats()).taps

    async def test_whoever_waits_is_told_when_the_tap_is_closed(self, media: MediaEngine) -> None:
        async with media.source(codec_parameters("opus"), worker=0) as source, media.tap(source.track) as tap:
            waiting = asyncio.ensure_future(anext(tap, None))
            await asyncio.sleep(0)
            tap.close()
            assert await waiting is None

    async def test_the_end_of_the_engine(self, media: MediaEngine) -> None:
        async with media.source(codec_parameters("opus"), worker=0) as source, media.tap(source.track) as tap:
            media.close()
            assert [batch async for batch in tap] == []
            source.write(b"\xfc", timestamp=0, key_frame=True)
            with pytest.raises(EngineGone):
                async with media.tap(source.track):
                    pass

    async def test_what_does_not_exist_cannot_be_opened(self, media: MediaEngine) -> None:
        with pytest.raises(CommandError, match="unknown_id"):
            async with media.tap(999):
                pass
        with pytest.raises(CommandError, match="invalid_argument"):
            async with media.source(codec_parameters("opus"), worker=9):
                pass
        with pytest.raises(ValueError, match="codec"):
            async with media.source(codec_parameters("red"), worker=0):
                pass
        assert not media._taps
        assert not media._sources


class TestPublisher:
    """RTP of a peer, from the socket on."""

    def test_a_gap_is_waited_for_until_it_is_repaired(self, console: Console) -> None:
        with contextlib.closing(Peer(console)) as publisher:
            publisher.connect()
            track = publisher.add_track(published())
            console.call(console.engine.open_tap, 77, track, capacity=1 << 20)
            packets = [rtp_frame(number, key=number == 0) for number in range(6)]
            for number, packet in enumerate(packets):
                packet.sequence_number = (65534 + number) & 0xFFFF
                packet.timestamp = (0xFFFFFFFF - 6000 + 3000 * number) & 0xFFFFFFFF
            late = packets.pop(2)
            for packet in packets:
                publisher.send_rtp(packet)
            nack = publisher.receive_rtcp(RtcpRtpfbPacket)
            assert (nack.fmt, nack.lost) == (RTCP_RTPFB_NACK, [0])
            frames, _ = console.wait(native.FramesReady, tap=77).take()
            publisher.send_rtp(late)
            while len(frames) < 6:
                more, dropped = console.wait(native.FramesReady, tap=77).take()
                frames += more
                assert dropped == 0
            assert [item.key_frame for item in frames] == [True] + [False] * 5
            assert not any(item.gap or item.synced for item in frames)
            assert (frames[0].width, frames[0].height) == (640, 360)
            (row,) = console.stats().taps
            assert (row.tap, row.track, row.lost_packets, row.waiting_packets) == (77, track, 0, 0)

    def test_sender_reports_say_when_it_was_sampled(self, console: Console) -> None:
        with contextlib.closing(Peer(console)) as publisher:
            publisher.connect()
            track = publisher.add_track(published())
            console.call(console.engine.open_tap, 77, track, capacity=1 << 20)
            publisher.send_rtp(rtp_frame(1, key=True))
            assert not console.wait(native.FramesReady, tap=77).take()[0][0].synced
            now = time.time()
            # The publisher's clock is a day ahead; what was sampled now has the timestamp of frame 3.
            info = RtcpSenderInfo(
                ntp_timestamp=int((now + 86_400 + NTP_OF_1970) * 2**32),
                rtp_timestamp=3 * 3000,
                packet_count=1,
                octet_count=1,
            )
            publisher.send_rtcp(RtcpSrPacket(ssrc=PUBLISHED_SSRC, sender_info=info))
            for sequence in range(2, 34):
                publisher.send_rtp(rtp_frame(sequence))
            frames: list[native.Frame] = []
            while len(frames) < 32:
                frames += console.wait(native.FramesReady, tap=77).take()[0]
            sampled = {item.timestamp // 3000: item.wallclock for item in frames if item.synced}
            assert sampled[31] - now == pytest.approx(28 / 30, abs=0.05)
            assert sampled[32] - sampled[31] == pytest.approx(1 / 30, abs=0.001)

    def test_a_key_frame_is_asked_of_it(self, console: Console) -> None:
        with contextlib.closing(Peer(console)) as publisher:
            publisher.connect()
            track = publisher.add_track(published())
            publisher.send_rtp(rtp_frame(1))
            console.wait(native.TrackStarted, track=track)
            console.call(console.engine.open_tap, 77, track, capacity=1 << 20)
            request = publisher.receive_rtcp(RtcpPsfbPacket)
            assert (request.fmt, request.media_ssrc) == (RTCP_PSFB_PLI, PUBLISHED_SSRC)
            console.call(console.engine.close_transport, publisher.transport)
            assert console.wait(native.TapEnded).tap == 77
            with pytest.raises(Refused, match="unknown_id"):
                console.call(console.engine.close_tap, 77)

    def test_a_viewer_of_another_worker_gets_what_is_written(self) -> None:
        with (
            running_console([["127.0.0.1:0"], ["127.0.0.1:0"]]) as console,
            contextlib.closing(Peer(console, worker=1)) as viewer,
        ):
            viewer.connect()
            engine = console.engine
            parameters = native.SourceParameters(codec=codec_parameters("VP8"))
            console.call(engine.open_source, 500, worker=0, parameters=parameters)
            subscription = viewer.subscribe(viewed())
            console.call(engine.attach, subscription, 500, payload_types=[(96, 120)])
            engine.write_frame(500, encoded.pictures("VP8", 1)[0].data, timestamp=0, key_frame=True)
            packet = viewer.receive_rtp()
            assert (packet.payload_type, packet.payload[:2], packet.marker) == (120, b"\x90\x80", 1)
            engine.write_frame(500, b"\x11delta", timestamp=3000, wallclock=time.time(), key_frame=False)
            following = viewer.receive_rtp()
            assert following.payload[4:] == b"\x11delta"
            assert following.timestamp - packet.timestamp == 3000
            console.call(engine.close_source, 500)
            with pytest.raises(Refused, match="unknown_id"):
                console.call(engine.attach, subscription, 500, payload_types=[(96, 120)])

    def test_one_key_frame_serves_all_who_wait(self, console: Console) -> None:
        engine = console.engine
        parameters = native.SourceParameters(codec=codec_parameters("VP8"))
        console.call(engine.open_source, 500, worker=0, parameters=parameters)
        engine.write_frame(500, b"\x11delta", timestamp=0, key_frame=False)
        for tap in (77, 78):
            console.call(engine.open_tap, tap, 500, capacity=1 << 20)
        assert console.wait(native.KeyFrameNeeded).track == 500
        console.stats()
        assert not any(isinstance(event, native.KeyFrameNeeded) for event in console.events)
