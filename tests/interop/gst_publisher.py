"""Publishes SMPTE bars and a tone by GStreamer's webrtcbin: `gst_publisher.py URL vp8|h264`. Runs until interrupted.

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
    "vp8": "vp8enc deadline=1 keyframe-max-dist=30 ! rtpvp8pay picture-id-mode=2 pt=96",
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=30 ! video/x-h264,profile=constrained-baseline"
    " ! rtph264pay config-interval=-1 aggregate-mode=zero-latency pt=96",
}


def main() -> int:
    url, codec = sys.argv[1:]
    Gst.init(None)
    pipeline = Gst.parse_launch(
        "webrtcbin name=w bundle-policy=max-bundle "
        "videotestsrc is-live=true pattern=smpte75 ! video/x-raw,width=640,height=360,framerate=25/1 "
        f"! videoconvert ! queue ! {VIDEO[codec]} ! w. "
        "audiotestsrc is-live=true wave=sine ! audioconvert ! audioresample ! queue ! opusenc ! rtpopuspay pt=97 ! w."
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
