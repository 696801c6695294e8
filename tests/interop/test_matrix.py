"""`make interop`: every client that can be had here, both directions where it has both, and docs/interop.md of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.gateway import running_gateway
from tests.interop import clients, matrix
from tests.interop.matrix import BOTH, PLAYS, PUBLISHES, Case, Scene

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(300)]

OFFERS: Final = "as server of the client peer: does not work, its Streaming plugin answers an offer with another offer"

CASES: Final = (
    Case(client=clients.CHROMIUM, direction=BOTH, codecs="VP8, Opus", run=matrix.chromium("VP8")),
    Case(client=clients.CHROMIUM, direction=BOTH, codecs="VP9, Opus", run=matrix.chromium("VP9", "profile-id=0")),
    Case(client=clients.CHROMIUM, direction=BOTH, codecs="H264, Opus", run=matrix.chromium("H264", "42001f")),
    Case(client=clients.CHROMIUM, direction=BOTH, codecs="AV1, Opus", run=matrix.chromium("AV1")),
    Case(client=clients.FIREFOX, direction=PUBLISHES, codecs="VP8, Opus", run=matrix.firefox_publishes("VP8")),
    Case(client=clients.FIREFOX, direction=PUBLISHES, codecs="VP9, Opus", run=matrix.firefox_publishes("VP9")),
    Case(client=clients.FIREFOX, direction=PLAYS, codecs="VP8, Opus", run=matrix.firefox_plays("VP8")),
    Case(client=clients.FIREFOX, direction=PLAYS, codecs="VP9, Opus", run=matrix.firefox_plays("VP9")),
    Case(client=clients.FIREFOX, direction=PLAYS, codecs="AV1, Opus", run=matrix.firefox_plays("AV1")),
    Case(client=clients.FFMPEG, direction=PUBLISHES, codecs="H264, Opus; DTLS passive", run=matrix.ffmpeg_publishes()),
    Case(
        client=clients.FFMPEG,
        direction=PUBLISHES,
        codecs="H264, Opus; DTLS active",
        run=matrix.ffmpeg_publishes(active=True),
    ),
    Case(client=clients.FFMPEG, direction=PUBLISHES, codecs="H264 alone", run=matrix.ffmpeg_publishes(sound=False)),
    Case(client=clients.FFMPEG, direction=PUBLISHES, codecs="Opus alone", run=matrix.ffmpeg_publishes(video=False)),
    Case(client=clients.GSTREAMER, direction=BOTH, codecs="VP8, Opus", run=matrix.gstreamer("vp8", "opus")),
    Case(client=clients.GSTREAMER, direction=BOTH, codecs="VP9", run=matrix.gstreamer("vp9")),
    Case(client=clients.GSTREAMER, direction=BOTH, codecs="H264, Opus", run=matrix.gstreamer("h264", "opus")),
    Case(client=clients.GSTREAMER, direction=BOTH, codecs="H265, Opus", run=matrix.gstreamer("h265", "opus")),
    Case(client=clients.GSTREAMER, direction=BOTH, codecs="G722", run=matrix.gstreamer("g722")),
    Case(client=clients.GSTREAMER, direction=BOTH, codecs="PCMU", run=matrix.gstreamer("pcmu")),
    Case(client=clients.GSTREAMER_WHIP, direction=PUBLISHES, codecs="any", run=matrix.gstreamer("vp8")),
    Case(client=clients.AIORTC, direction=BOTH, codecs="VP8, Opus", run=matrix.aiortc("VP8")),
    Case(client=clients.AIORTC, direction=BOTH, codecs="H264, Opus", run=matrix.aiortc("H264")),
    Case(client=clients.WHIP_WHEP, direction=BOTH, codecs="VP8, Opus", run=matrix.medooze("whip-whep")),
    Case(client=clients.LIVE777, direction=BOTH, codecs="VP8, Opus", run=matrix.medooze("@binbat/whip-whep")),
    Case(client=clients.EYEVINN_WHIP, direction=PUBLISHES, codecs="VP8, Opus", run=matrix.eyevinn_publishes),
    Case(client=clients.EYEVINN_PLAYER, direction=PLAYS, codecs="VP8, Opus", run=matrix.eyevinn_plays),
    Case(client=clients.PION, direction=PUBLISHES, codecs="VP8", run=matrix.pion_publishes),
    Case(client=clients.PION, direction=PLAYS, codecs="VP8", run=matrix.pion_plays),
    Case(client=clients.OBS, direction=PUBLISHES, codecs="H264, Opus", run=matrix.obs),
    Case(client=clients.SCRIPTED_OBS, direction=PUBLISHES, codecs="H264 in three layers, Opus", run=matrix.obs),
    Case(
        client=clients.JANUS_WHIP,
        direction="is published to",
        codecs="VP8, Opus",
        run=matrix.janus_is_published_to("vp8"),
    ),
    Case(
        client=clients.JANUS_WHIP,
        direction="is published to",
        codecs="H264, Opus",
        run=matrix.janus_is_published_to("h264"),
    ),
    Case(
        client=clients.JANUS_WHEP,
        direction="is played from",
        codecs="VP8, Opus",
        run=matrix.janus_is_played_from,
        works=OFFERS,
    ),
)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_client(case: Case, own_network: str, tmp_path: Path) -> None:
    reason = case.client.missing()
    if reason is not None:
        pytest.skip(reason)
    async with running_gateway(tmp_path, environment={"LIVE777_WEBRTC_ICE_UDP_ADDRS": f"{own_network}:0"}) as gateway:
        await case.run(Scene(gateway=gateway, directory=tmp_path, address=own_network))
