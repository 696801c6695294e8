"""Publishes by GStreamer what tells a recording's faults: `gst_clapper.py URL SIZE CODEC REPORTS`, where SIZE is such
as 320x180 and CODEC a key of `VIDEO`. Runs until interrupted.

25 pictures a second, each with its number in blocks (`peers.counter_of` reads it), and Opus: 1 kHz that begins when
each 25th picture is shown, and that lasts as long as tells which of four it is. Both have timestamps that are computed,
not read from a clock, so that a busy machine sends late, and never says anything wrong. REPORTS is `true` for sender
reports of when things were sampled, `once` for only one such of each kind, or `default` for what webrtcbin 1.22 sends:
timestamps that run twice as fast as those of the packets.

For Debian's interpreter: it imports nothing of the package under test.
"""

import array
import math
import struct
import sys
from collections.abc import Iterator

from gst_session import GLib, Gst, run

PICTURES = 25
BITS = 16
BLACK, WHITE, GREY = b"\x10", b"\xeb", b"\x80"
SAMPLE_RATE = 48_000
SOUND = SAMPLE_RATE // 50
"""Samples that are sent at once."""
BEEP_UNIT, BEEPS = 0.08, 4
"""Second k beeps for k % BEEPS + 1 units: whose sound is a second early or late is found out."""
PAYLOAD_TYPE = 96
CLOCK_RATE = 90_000
MTU = 1200

VIDEO = {
    "vp8": "vp8enc deadline=1 cpu-used=8 keyframe-max-dist=25 ! rtpvp8pay picture-id-mode=2",
    "vp9": "vp9enc deadline=1 cpu-used=9 keyframe-max-dist=25 ! rtpvp9pay picture-id-mode=2",
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! video/x-h264,profile=constrained-baseline"
    " ! rtph264pay config-interval=-1 aggregate-mode=zero-latency",
    # With open GOPs the key frames but the first are CRA pictures: no parameter sets come before them, nor after a PLI.
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=25 option-string=open-gop=0"
    " ! rtph265pay config-interval=-1 aggregate-mode=zero-latency",
    "av1": "av1enc usage-profile=realtime cpu-used=10 lag-in-frames=0 keyframe-max-dist=25 target-bitrate=500"
    " ! appsink name=units emit-signals=true sync=false  appsrc name=packets is-live=true format=time",
}


def picture(count: int, width: int, height: int) -> bytes:
    """I420: the number in blocks from left to right, the lowest bit first."""
    block = width // BITS
    row = b"".join((WHITE if count >> bit & 1 else BLACK) * block for bit in range(BITS))
    return row.ljust(width, BLACK) * height + GREY * (width * height // 2)


def sound(first: int) -> bytes:
    """Stereo, 16 bits, from that sample on."""
    samples = array.array("h")
    for at in range(first, first + SOUND):
        second, sample = divmod(at, SAMPLE_RATE)
        beeps = sample < (second % BEEPS + 1) * BEEP_UNIT * SAMPLE_RATE
        value = int(16384 * math.sin(2 * math.pi * 1000 * at / SAMPLE_RATE)) if beeps else 0
        samples.extend((value, value))
    return samples.tobytes()


class Clapper:
    def __init__(self, pipeline: Gst.Pipeline, width: int, height: int) -> None:
        self._pipeline = pipeline
        self._pictures = pipeline.get_by_name("pictures")
        self._sound = pipeline.get_by_name("sound")
        self._size = (width, height)
        self._start: int | None = None
        self._count = self._samples = 0

    def push(self) -> bool:
        """What is due."""
        clock = self._pipeline.get_clock()
        if clock is None:
            return True
        now = clock.get_time() - self._pipeline.get_base_time()
        if self._start is None:
            self._start = now
        due = now - self._start
        while self._count * Gst.SECOND // PICTURES <= due:
            data = picture(self._count, *self._size)
            self._push(self._pictures, data, self._count, PICTURES)
            self._count += 1
        while self._samples * Gst.SECOND // SAMPLE_RATE <= due:
            self._push(self._sound, sound(self._samples), self._samples, SAMPLE_RATE, SOUND)
            self._samples += SOUND
        return True

    def _push(self, source: Gst.Element, data: bytes, at: int, rate: int, length: int = 1) -> None:
        buffer = Gst.Buffer.new_wrapped(data)
        buffer.pts = self._start + at * Gst.SECOND // rate
        buffer.duration = length * Gst.SECOND // rate
        source.emit("push-buffer", buffer)


def units_of(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and bytes, without its size, of each OBU."""
    at = 0
    while at < len(data):
        header, at = data[at], at + 1
        extension = data[at : at + 1] if header & 0x04 else b""
        at += len(extension)
        size = shift = 0
        while True:
            byte, at = data[at], at + 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        yield header >> 3 & 0xF, bytes([header & ~0x02]) + extension + data[at : at + size]
        at += size


def av1_payloads(data: bytes) -> Iterator[bytes]:
    """A temporal unit in packets, by the AV1 RTP specification, 4.4: one OBU, or a part of one, in each."""
    sequence_header, temporal_delimiter = 1, 2
    units = [unit for unit in units_of(data) if unit[0] != temporal_delimiter]
    for kind, unit in units:
        for at in range(0, len(unit), MTU):
            continued, continues = at > 0, at + MTU < len(unit)
            header = continued << 7 | continues << 6 | 1 << 4 | (kind == sequence_header and not continued) << 3
            yield bytes([header]) + unit[at : at + MTU]


class Av1Payloader:
    """GStreamer 1.22 has none."""

    def __init__(self, units: Gst.Element, packets: Gst.Element) -> None:
        self._packets = packets
        self._sequence = 0
        units.connect("new-sample", self._on_unit)

    def _on_unit(self, units: Gst.Element) -> Gst.FlowReturn:
        buffer = units.emit("pull-sample").get_buffer()
        payloads = list(av1_payloads(buffer.extract_dup(0, buffer.get_size())))
        timestamp = buffer.pts * CLOCK_RATE // Gst.SECOND & 0xFFFFFFFF
        for index, payload in enumerate(payloads):
            marker = (index == len(payloads) - 1) << 7
            header = struct.pack(">BBHII", 0x80, marker | PAYLOAD_TYPE, self._sequence, timestamp, 0x0A71)
            self._sequence = (self._sequence + 1) & 0xFFFF
            packet = Gst.Buffer.new_wrapped(header + payload)
            packet.pts = buffer.pts
            self._packets.emit("push-buffer", packet)
        return Gst.FlowReturn.OK


class OneReport:
    """Lets the first sender report of each SSRC pass."""

    def __init__(self, rtpbin: Gst.Element) -> None:
        self._told: set[bytes] = set()
        rtpbin.connect("pad-added", self._on_pad)

    def _on_pad(self, _rtpbin: Gst.Element, pad: Gst.Pad) -> None:
        if pad.get_name().startswith("send_rtcp_src"):
            pad.add_probe(Gst.PadProbeType.BUFFER, self._on_packet)

    def _on_packet(self, _pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        head = info.get_buffer().extract_dup(0, 8)
        sender_report, ssrc = head[1] == 200, head[4:]
        if sender_report and ssrc in self._told:
            return Gst.PadProbeReturn.DROP
        if sender_report:
            self._told.add(ssrc)
        return Gst.PadProbeReturn.OK


def rtp(media: str, codec: str, clock_rate: int, payload_type: int) -> str:
    """Known before there is data: webrtcbin does not offer what has no caps yet."""
    return f"application/x-rtp,media={media},encoding-name={codec},clock-rate={clock_rate},payload={payload_type}"


def main() -> int:
    url, size, codec, reports = sys.argv[1:]
    width, height = (int(side) for side in size.split("x"))
    raw = f"video/x-raw,format=I420,width={width},height={height},framerate={PICTURES}/1"
    number = "" if codec == "av1" else f" pt={PAYLOAD_TYPE}"
    Gst.init(None)
    pipeline = Gst.parse_launch(
        "webrtcbin name=w bundle-policy=max-bundle "
        f"appsrc name=pictures is-live=true format=time caps={raw} ! queue ! {VIDEO[codec]}{number}"
        f" ! {rtp('video', codec.upper(), CLOCK_RATE, PAYLOAD_TYPE)} ! w. "
        f"appsrc name=sound is-live=true format=time"
        f" caps=audio/x-raw,format=S16LE,layout=interleaved,rate={SAMPLE_RATE},channels=2"
        f" ! queue ! opusenc ! rtpopuspay pt={PAYLOAD_TYPE + 1}"
        f" ! {rtp('audio', 'OPUS', SAMPLE_RATE, PAYLOAD_TYPE + 1)} ! w. "
    )
    if codec == "av1":
        units, packets = pipeline.get_by_name("units"), pipeline.get_by_name("packets")
        packets.set_property("caps", Gst.Caps.from_string(rtp("video", "AV1", CLOCK_RATE, PAYLOAD_TYPE)))
        Av1Payloader(units, packets)
    rtpbin = pipeline.get_by_name("rtpbin")
    if reports != "default":
        rtpbin.set_property("rtcp-sync-send-time", False)
    if reports == "once":
        OneReport(rtpbin)
    GLib.timeout_add(10, Clapper(pipeline, width, height).push)
    run(pipeline, pipeline.get_by_name("w"), url)
    return 0


if __name__ == "__main__":
    sys.exit(main())
