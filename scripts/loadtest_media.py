"""Make the loops that `live777py bench whip` publishes: `python scripts/loadtest_media.py`, with imageio-ffmpeg.

Two seconds each of a moving picture, 640x360 at 30 frames a second and about 0.93 Mbit/s, that begin with their only
key frame, and of a tone of 64 kbit/s. What a decoder shows at the seam is a new key frame like any other.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg

MEDIA = Path(__file__).parents[1] / "live777py" / "loadtest" / "media"
SECONDS = 2
PICTURE = f"testsrc2=size=640x360:rate=30:duration={SECONDS},noise=alls=6:allf=t:all_seed=7,format=yuv420p"
TONE = f"sine=frequency=440:sample_rate=48000:duration={SECONDS}"
RATE = ("-b:v", "930k", "-maxrate", "930k", "-bufsize", "465k", "-g", "60", "-threads", "1", "-fps_mode", "passthrough")
VIDEO = {
    "h264": (
        *("-c:v", "libx264", "-profile:v", "baseline", "-level", "3.1", "-preset", "slow", "-bf", "0"),
        *("-x264-params", "scenecut=0:repeat-headers=1:sliced-threads=0"),
        *("-bsf:v", "filter_units=remove_types=6"),  # the encoder's words about itself
    ),
    "vp8": (
        "-c:v",
        "libvpx",
        "-deadline",
        "good",
        "-cpu-used",
        "0",
        "-auto-alt-ref",
        "0",
        "-lag-in-frames",
        "0",
        "-max-intra-rate",
        "600",
    ),
}
AUDIO = ("-c:a", "libopus", "-b:a", "64k", "-vbr", "off", "-ac", "2", "-frame_duration", "20")


def main() -> None:
    MEDIA.mkdir(parents=True, exist_ok=True)
    for codec, options in VIDEO.items():
        inputs = ("-f", "lavfi", "-i", PICTURE, "-f", "lavfi", "-i", TONE)
        output = MEDIA / f"{codec}.mkv"
        command = (imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "warning", *inputs, *options, *RATE, *AUDIO)
        # Neither dates nor random numbers: the same program makes the same file.
        exact = ("-fflags", "+bitexact", "-flags", "+bitexact")
        subprocess.run([*command, *exact, output], check=True)  # noqa: S603 (the words are ours)


if __name__ == "__main__":
    main()
