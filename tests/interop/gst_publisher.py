"""Publishes SMPTE bars and a tone by GStreamer's webrtcbin: `gst_publisher.py URL SIZE CODEC...`, where SIZE is such as
640x360 and each CODEC a key of `VIDEO` or `AUDIO`. Runs until interrupted.

A program of its own, for Debian's interpreter: it imports nothing of the package under test.
"""

import signal
import sys
import urllib.parse
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402 # versions are chosen before the import

VIDEO = {
    "vp8": "vp8enc deadline=1 keyframe-max-dist=30 ! rtpvp8pay picture-id-mode=2",
    "vp9": "vp9enc deadline=1 cpu-used=9 threads=2 row-mt=true keyframe-max-dist=10 ! rtpvp9pay picture-id-mode=2",
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=30 ! video/x-h264,profile=constrained-baseline"
    " ! rtph264pay config-interval=-1 aggregate-mode=zero-latency",
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=30 ! rtph265pay config-interval=-1"
    " aggregate-mode=zero-latency",
}
AUDIO = {
    "opus": "audio/x-raw,rate=48000,channels=2 ! opusenc ! rtpopuspay",
    "g722": "audio/x-raw,rate=16000,channels=1 ! avenc_g722 ! rtpg722pay",
    "pcmu": "audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay",
}
STATIC = {"g722": 9, "pcmu": 0}


def source(codec: str, size: str, payload_type: int) -> str:
    if codec in AUDIO:
        chain = f"audiotestsrc is-live=true wave=sine ! audioconvert ! audioresample ! {AUDIO[codec]}"
    else:
        width, height = size.split("x")
        raw = f"video/x-raw,format=I420,width={width},height={height},framerate=25/1"
        chain = f"videotestsrc is-live=true pattern=smpte75 ! {raw} ! queue ! {VIDEO[codec]}"
    return f"{chain} pt={STATIC.get(codec, payload_type)} ! w. "


def main() -> int:
    url, size, *codecs = sys.argv[1:]
    Gst.init(None)
    pipeline = Gst.parse_launch(
        "webrtcbin name=w bundle-policy=max-bundle "
        + "".join(source(codec, size, 96 + index) for index, codec in enumerate(codecs))
    )
    webrtc = pipeline.get_by_name("w")
    loop = GLib.MainLoop()
    session = []

    def post(offer: str) -> str:
        request = urllib.request.Request(url, data=offer.encode(), headers={"Content-Type": "application/sdp"})
        with urllib.request.urlopen(request, timeout=10) as response:
            session.append(urllib.parse.urljoin(url, response.headers["Location"]))
            answer: str = response.read().decode()
            return answer

    def on_gathered(element: Gst.Element, _property: object) -> None:
        if element.get_property("ice-gathering-state") != GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            return
        answer = post(element.get_property("local-description").sdp.as_text())
        _, message = GstSdp.SDPMessage.new_from_text(answer)
        description = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
        element.emit("set-remote-description", description, Gst.Promise.new())

    def on_offer(promise: Gst.Promise, element: Gst.Element) -> None:
        reply = promise.get_reply()  # the offer lives as long as the reply
        offer = reply.get_value("offer")
        element.emit("set-local-description", offer, Gst.Promise.new())

    def on_negotiation_needed(element: Gst.Element) -> None:
        element.emit("create-offer", None, Gst.Promise.new_with_change_func(on_offer, element))

    webrtc.connect("on-negotiation-needed", on_negotiation_needed)
    webrtc.connect("notify::ice-gathering-state", on_gathered)
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGINT, loop.quit)
    pipeline.set_state(Gst.State.PLAYING)
    loop.run()
    if session:
        urllib.request.urlopen(urllib.request.Request(session[0], method="DELETE"), timeout=10)
    pipeline.set_state(Gst.State.NULL)
    return 0


if __name__ == "__main__":
    sys.exit(main())
