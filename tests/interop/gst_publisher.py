"""Publishes SMPTE bars and a tone by GStreamer's webrtcbin: `gst_publisher.py URL SIZE CODEC...`, where SIZE is such as
640x360 and each CODEC a key of `VIDEO` or `AUDIO`. Runs until interrupted.

A program of its own, for Debian's interpreter: it imports nothing of the package under test.
"""

import sys

from gst_session import Gst, run

VIDEO = {
    "vp8": "vp8enc deadline=1 keyframe-max-dist=30 ! rtpvp8pay picture-id-mode=2",
    # A key frame every four seconds, whatever is asked for.
    "vp8-deaf": "vp8enc deadline=1 cpu-used=8 end-usage=cbr target-bitrate=1200000 keyframe-max-dist=100"
    " ! identity name=deaf ! rtpvp8pay picture-id-mode=2",
    "vp9": "vp9enc deadline=1 cpu-used=9 threads=2 row-mt=true keyframe-max-dist=10 ! rtpvp9pay picture-id-mode=2",
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=30 ! video/x-h264,profile=constrained-baseline"
    " ! rtph264pay config-interval=-1 aggregate-mode=zero-latency",
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=30 option-string=open-gop=0"
    " ! rtph265pay config-interval=-1 aggregate-mode=zero-latency",
    # The key frames but the first are CRA pictures: rtph265pay puts no parameter sets before them, nor after a PLI.
    "h265-open": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=30"
    " ! rtph265pay config-interval=-1 aggregate-mode=zero-latency",
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
        # Still bars need no bitrate; in `smpte` is a patch of noise.
        pattern = "smpte" if codec == "vp8-deaf" else "smpte75"
        chain = f"videotestsrc is-live=true pattern={pattern} ! {raw} ! queue ! {VIDEO[codec]}"
    return f"{chain} pt={STATIC.get(codec, payload_type)} ! w. "


def drop_key_frame_request(_pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
    structure = info.get_event().get_structure()
    asked = structure is not None and structure.get_name() == "GstForceKeyUnit"
    return Gst.PadProbeReturn.DROP if asked else Gst.PadProbeReturn.OK


def main() -> int:
    url, size, *codecs = sys.argv[1:]
    Gst.init(None)
    pipeline = Gst.parse_launch(
        "webrtcbin name=w bundle-policy=max-bundle "
        + "".join(source(codec, size, 96 + index) for index, codec in enumerate(codecs))
    )
    if (deaf := pipeline.get_by_name("deaf")) is not None:
        deaf.get_static_pad("src").add_probe(Gst.PadProbeType.EVENT_UPSTREAM, drop_key_frame_request)
    run(pipeline, pipeline.get_by_name("w"), url)
    return 0


if __name__ == "__main__":
    sys.exit(main())
