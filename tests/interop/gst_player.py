"""Plays by GStreamer's webrtcbin: `gst_player.py URL CODEC...` and tells, one JSON object a line, what it has decoded:

    {"frames": 25, "size": [640, 360], "bars": [[191, 191, 191], ...]}     the seven columns of SMPTE bars
    {"samples": 48000, "level": 0.8}

A program of its own, for Debian's interpreter: it imports nothing of the package under test. Runs until interrupted.
"""

import json
import os
import sys

from gst_session import Gst, GstWebRTC, run

OFFERED = {
    "vp8": "media=video,encoding-name=VP8,clock-rate=90000,payload=96",
    "vp9": "media=video,encoding-name=VP9,clock-rate=90000,payload=98",
    "h264": "media=video,encoding-name=H264,clock-rate=90000,payload=102,packetization-mode=(string)1,"
    "profile-level-id=(string)42e01f",
    "h265": "media=video,encoding-name=H265,clock-rate=90000,payload=104",
    "opus": "media=audio,encoding-name=OPUS,clock-rate=48000,payload=111",
    "g722": "media=audio,encoding-name=G722,clock-rate=8000,payload=9",
    "pcmu": "media=audio,encoding-name=PCMU,clock-rate=8000,payload=0",
}
COLUMNS = 7


class Seen:
    """What has been decoded of one kind."""

    def __init__(self) -> None:
        self.frames = self.samples = 0
        self.level = 0.0

    def video(self, sink: Gst.Element) -> Gst.FlowReturn:
        sample = sink.emit("pull-sample")
        structure = sample.get_caps().get_structure(0)
        width, height = structure.get_value("width"), structure.get_value("height")
        self.frames += 1
        buffer = sample.get_buffer()
        data = buffer.extract_dup(0, buffer.get_size())
        stride = len(data) // height
        row = height // 4 * stride
        middles = [row + 3 * ((2 * column + 1) * width // (2 * COLUMNS)) for column in range(COLUMNS)]
        tell(frames=self.frames, size=[width, height], bars=[list(data[at : at + 3]) for at in middles])
        return Gst.FlowReturn.OK

    def audio(self, sink: Gst.Element) -> Gst.FlowReturn:
        buffer = sink.emit("pull-sample").get_buffer()
        data = memoryview(buffer.extract_dup(0, buffer.get_size())).cast("h")
        self.samples += len(data)
        self.level = max(self.level, max(data, default=0) / 32768)
        tell(samples=self.samples, level=self.level)
        return Gst.FlowReturn.OK


def tell(**facts: object) -> None:
    """In one system call: audio and video are decoded on threads of their own."""
    os.write(sys.stdout.fileno(), json.dumps(facts).encode() + b"\n")


def main() -> int:
    url, *codecs = sys.argv[1:]
    Gst.init(None)
    pipeline = Gst.Pipeline()
    webrtc = Gst.ElementFactory.make("webrtcbin")
    webrtc.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
    pipeline.add(webrtc)
    seen = Seen()

    def on_pad(_element: Gst.Element, pad: Gst.Pad) -> None:
        video = pad.get_current_caps().get_structure(0).get_value("media") == "video"
        form = "videoconvert ! video/x-raw,format=RGB" if video else "audioconvert ! audio/x-raw,format=S16LE"
        tail = Gst.parse_bin_from_description(f"{form} ! appsink name=end emit-signals=true sync=false", True)
        tail.get_by_name("end").connect("new-sample", seen.video if video else seen.audio)
        decoder = Gst.ElementFactory.make("decodebin")
        decoder.connect("pad-added", lambda _decoder, decoded: decoded.link(tail.get_static_pad("sink")))
        for element in (decoder, tail):
            pipeline.add(element)
            element.sync_state_with_parent()
        pad.link(decoder.get_static_pad("sink"))

    webrtc.connect("pad-added", on_pad)
    for codec in codecs:
        caps = Gst.Caps.from_string(f"application/x-rtp,{OFFERED[codec]}")
        webrtc.emit("add-transceiver", GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY, caps)
    run(pipeline, webrtc, url)
    return 0


if __name__ == "__main__":
    sys.exit(main())
