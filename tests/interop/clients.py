"""Which foreign programs there are, in which version, and why not."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from tests.interop import bundle, janus
from tests.interop.programs import SYSTEM_PYTHON, ffmpeg
from tests.interop.test_go import SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable

_GSTREAMER: Final = 'import gi; gi.require_version("Gst", "1.0"); from gi.repository import Gst; Gst.init(None); '


@dataclass(frozen=True, kw_only=True)
class Client:
    """`missing` says why it is not there; then `version` is not asked for."""

    name: str
    version: Callable[[], str]
    missing: Callable[[], str | None] = lambda: None


@cache
def _said(*command: str) -> str:
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return (finished.stdout + finished.stderr).strip()


def _word(at: int, *command: str) -> Callable[[], str]:
    """One word of the first line that a program says of itself."""
    return lambda: _said(*command).splitlines()[0].split()[at]


def _program(name: str) -> Callable[[], str | None]:
    return lambda: None if shutil.which(name) else f"{name} is not installed"


def _npm(name: str) -> Client:
    def missing() -> str | None:
        return None if bundle.package(name) else f"{name} is not installed by npm"

    def version() -> str:
        return f"{bundle.version(name)}, {CHROMIUM.name} {CHROMIUM.version()}"

    return Client(name=name, version=version, missing=missing)


def _gst_element(element: str, why: str) -> Callable[[], str | None]:
    def missing() -> str | None:
        found = _said(SYSTEM_PYTHON, "-c", f'{_GSTREAMER}print(Gst.ElementFactory.find("{element}") is not None)')
        return None if found == "True" else why

    return missing


def _pion_version() -> str:
    line = next(line for line in (SOURCE / "go.mod").read_text().splitlines() if "github.com/pion/webrtc/" in line)
    return line.split()[1].removeprefix("v")


def _gst_version() -> str:
    return _said(SYSTEM_PYTHON, "-c", f"{_GSTREAMER}print(Gst.version_string())").removeprefix("GStreamer ")


CHROMIUM: Final = Client(name="Chromium", version=_word(1, "chromium", "--version"), missing=_program("chromium"))
FIREFOX: Final = Client(name="Firefox", version=_word(2, "firefox-esr", "--version"), missing=_program("firefox-esr"))
FFMPEG: Final = Client(name="FFmpeg WHIP", version=lambda: _said(ffmpeg(), "-version").split()[2])
GSTREAMER: Final = Client(
    name="GStreamer webrtcbin",
    version=_gst_version,
    missing=_gst_element("webrtcbin", "GStreamer's webrtcbin is not installed"),
)
GSTREAMER_WHIP: Final = Client(
    name="GStreamer whipclientsink",
    version=_gst_version,
    missing=_gst_element("whipclientsink", "gst-plugins-rs with WebRTC is no package of Debian's, nor of PyPI's"),
)
AIORTC: Final = Client(name="aiortc", version=lambda: importlib.metadata.version("aiortc"))
WHIP_WHEP: Final = _npm("whip-whep")
LIVE777: Final = _npm("@binbat/whip-whep")
EYEVINN_WHIP: Final = _npm("@eyevinn/whip-web-client")
EYEVINN_PLAYER: Final = _npm("@eyevinn/webrtc-player")
PION: Final = Client(name="Pion", version=_pion_version, missing=_program("go"))
OBS: Final = Client(
    name="OBS Studio",
    version=_word(-1, "obs", "--version"),
    missing=lambda: "Debian builds OBS without WebRTC; the next row is its offer and its way of sending",
)
SCRIPTED_OBS: Final = Client(name="OBS Studio, scripted", version=lambda: "offer of 32.2")
JANUS_WHIP: Final = Client(
    name="Janus, simple-whip-server (server)",
    version=lambda: re.findall(r"\((\d[\d.]*)\)", _said("janus", "--version"))[0],
    missing=janus.missing,
)
JANUS_WHEP: Final = Client(
    name="Janus, janus-whep-server (server)",
    version=lambda: f"{JANUS_WHIP.version()}, {bundle.version('janus-whep-server')}",
    missing=janus.missing,
)
