"""What GStreamer's publisher and player have in common: one webrtcbin, one session, until SIGINT.

For Debian's interpreter: it imports nothing of the package under test.
"""

import os
import signal
import sys
import traceback
import types
import urllib.parse
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402 # versions are chosen before the import


def fail(kind: type[BaseException], error: BaseException, trace: types.TracebackType | None) -> None:
    """A callback's error would only be printed, and the program would do nothing for ever."""
    traceback.print_exception(kind, error, trace)
    os._exit(1)


def run(pipeline: Gst.Pipeline, webrtc: Gst.Element, url: str) -> None:
    """Offers by POST what the pipeline has, runs it, and ends with a DELETE."""
    sys.excepthook = fail
    loop = GLib.MainLoop()
    session = []

    def on_error(_bus: Gst.Bus, message: Gst.Message) -> None:
        print(*message.parse_error(), file=sys.stderr, flush=True)

    bus = pipeline.get_bus()
    bus.add_signal_watch()
    bus.connect("message::error", on_error)

    def on_gathered(element: Gst.Element, _property: object) -> None:
        if element.get_property("ice-gathering-state") != GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            return
        offer = element.get_property("local-description").sdp.as_text()
        request = urllib.request.Request(url, data=offer.encode(), headers={"Content-Type": "application/sdp"})
        with urllib.request.urlopen(request, timeout=30) as response:
            session.append(urllib.parse.urljoin(url, response.headers["Location"]))
            _, message = GstSdp.SDPMessage.new_from_text(response.read().decode())
        description = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
        element.emit("set-remote-description", description, Gst.Promise.new())

    def on_offer(promise: Gst.Promise, element: Gst.Element) -> None:
        reply = promise.get_reply()  # the offer lives as long as the reply
        element.emit("set-local-description", reply.get_value("offer"), Gst.Promise.new())

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
