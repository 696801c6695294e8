from __future__ import annotations

from dataclasses import replace

import pytest

from live777py.rtc import codecs
from live777py.rtc.codecs import H264Profile
from live777py.rtc.parameters import Codec

H264 = Codec(payload_type=96, name="H264", clock_rate=90000)
OPUS = Codec(payload_type=111, name="opus", clock_rate=48000, channels=2)


def h264(profile_level_id: str, mode: int = 1, payload_type: int = 96) -> Codec:
    fmtp = f"level-asymmetry-allowed=1;packetization-mode={mode};profile-level-id={profile_level_id}"
    return replace(H264, fmtp=fmtp, payload_type=payload_type)


def video(name: str, fmtp: str = "", payload_type: int = 96) -> Codec:
    return Codec(payload_type=payload_type, name=name, clock_rate=90000, fmtp=fmtp)


@pytest.mark.parametrize(
    ("profile_level_id", "profile"),
    [
        ("42001f", H264Profile.BASELINE),
        ("42801f", H264Profile.BASELINE),
        ("42e01f", H264Profile.CONSTRAINED_BASELINE),
        ("42c015", H264Profile.CONSTRAINED_BASELINE),
        ("42E034", H264Profile.CONSTRAINED_BASELINE),
        ("4d801f", H264Profile.CONSTRAINED_BASELINE),
        ("58001f", H264Profile.EXTENDED),
        ("58c01f", H264Profile.CONSTRAINED_BASELINE),
        ("58801f", H264Profile.BASELINE),
        ("4d001f", H264Profile.MAIN),
        ("4d4028", H264Profile.MAIN),
        ("64001f", H264Profile.HIGH),
        ("640032", H264Profile.HIGH),
        ("640c1f", H264Profile.CONSTRAINED_HIGH),
        ("6e0028", H264Profile.HIGH_10),
        ("6e1028", H264Profile.HIGH_10_INTRA),
        ("7a0028", H264Profile.HIGH_422),
        ("f4001f", H264Profile.HIGH_444_PREDICTIVE),
        ("2c1028", H264Profile.CAVLC_444_INTRA),
        ("ff001f", None),
        ("42e0", None),
        ("zzzzzz", None),
    ],
)
def test_h264_profiles(profile_level_id: str, profile: H264Profile | None) -> None:
    assert codecs.h264_profile({"profile-level-id": profile_level_id}) is profile


def test_h264_without_a_profile_is_constrained_baseline() -> None:
    assert codecs.h264_profile({}) is H264Profile.CONSTRAINED_BASELINE


CHROMIUM = (
    h264("42001f", 1, 102),
    h264("42001f", 0, 104),
    h264("42e01f", 1, 108),
    h264("42e01f", 0, 114),
    h264("4d001f", 1, 116),
    h264("4d001f", 0, 39),
    h264("f4001f", 1, 41),
    h264("f4001f", 0, 43),
)


@pytest.mark.parametrize(
    ("sent", "payload_type"),
    [
        pytest.param(h264("42e01f"), 108, id="constrained baseline"),
        pytest.param(h264("42c015", 0), 114, id="constrained baseline, mode 0, other level"),
        pytest.param(h264("42001f"), 102, id="baseline"),
        pytest.param(h264("4d0028"), 116, id="main"),
        pytest.param(h264("640c1f"), 41, id="constrained high goes to the one that contains it"),
        pytest.param(h264("640032"), 41, id="high goes to the one that contains it"),
        pytest.param(h264("640032", 0), 43, id="high, mode 0"),
        pytest.param(h264("2c1028"), 41, id="intra"),
        pytest.param(h264("ff001f"), 102, id="no known profile: the first of the mode"),
        pytest.param(H264, 114, id="no fmtp at all means mode 0"),
    ],
)
def test_h264_for_chromium(sent: Codec, payload_type: int) -> None:
    fitting = codecs.best(sent, CHROMIUM)
    assert fitting is not None
    assert fitting.payload_type == payload_type


def test_h264_single_nal_units_may_go_to_a_mode_1_viewer_but_not_the_other_way() -> None:
    assert codecs.rank(h264("42e01f", 0), h264("42e01f", 1)) == 1
    assert codecs.rank(h264("42e01f", 1), h264("42e01f", 0)) is None
    assert codecs.rank(h264("42e01f", 2), h264("42e01f", 2)) is None


def test_h264_of_any_profile_is_better_than_nothing() -> None:
    assert codecs.rank(h264("640032"), h264("42e01f")) is not None


@pytest.mark.parametrize(
    ("sent", "offered", "rank"),
    [
        (video("VP9"), video("VP9", "profile-id=0"), 0),
        (video("VP9", "profile-id=2"), video("VP9"), None),
        (video("VP9", "profile-id=2"), video("VP9", "profile-id=2"), 0),
        (video("VP8", "max-fs=12288"), video("VP8"), 0),
        (video("AV1"), video("AV1", "level-idx=5;profile=0;tier=0"), 0),
        (video("AV1", "profile=0"), video("AV1", "profile=1"), 2),
        (video("AV1", "profile=1"), video("AV1", "profile=0"), None),
        (video("AV1", "tier=1"), video("AV1"), 1),
        (video("H265"), video("H265", "profile-id=1;tier-flag=0;level-id=93;tx-mode=SRST"), 0),
        (video("H265", "tier-flag=1"), video("H265"), 1),
        (video("H265", "profile-id=1"), video("H265", "profile-id=2"), 2),
        (video("H265", "profile-id=2"), video("H265", "profile-id=1"), None),
        (video("H265", "tx-mode=MRST"), video("H265"), None),
        (video("H265", "profile-space=1"), video("H265"), None),
        (video("VP8"), video("VP9"), None),
    ],
)
def test_ranks(sent: Codec, offered: Codec, rank: int | None) -> None:
    assert codecs.rank(sent, offered) == rank


def test_among_equals_the_viewers_first_choice() -> None:
    fitting = codecs.best(video("VP8"), [video("VP8", payload_type=100), video("VP8", payload_type=101)])
    assert fitting is not None
    assert fitting.payload_type == 100


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("", {}),
        ("minptime=10; useinbandfec=1", {"minptime": "10", "useinbandfec": "1"}),
        ("Stereo=1;;stereo=0; =3;flag", {"stereo": "1", "flag": ""}),
        ("sprop-parameter-sets=Z0LA==,aM==", {"sprop-parameter-sets": "Z0LA==,aM=="}),
    ],
)
def test_fmtp(text: str, parameters: dict[str, str]) -> None:
    assert codecs.parse_fmtp(text) == parameters
    assert codecs.parse_fmtp(codecs.format_fmtp(parameters)) == parameters


@pytest.mark.parametrize(
    ("codec", "fmtp"),
    [
        pytest.param(replace(OPUS, fmtp="stereo=1;sprop-stereo=1"), "stereo=1;sprop-stereo=1", id="stereo kept"),
        pytest.param(replace(OPUS, fmtp="sprop-stereo=1"), "sprop-stereo=1;stereo=1", id="stereo asked for"),
        pytest.param(
            replace(H264, fmtp="packetization-mode=1;sprop-parameter-sets=Z0==,aM==;profile-level-id=42c015"),
            "packetization-mode=1;profile-level-id=42c015",
            id="sender's properties dropped",
        ),
        pytest.param(video("VP8", "max-fs=12288;max-fr=60"), "", id="decoder limits dropped"),
        pytest.param(Codec(payload_type=63, name="red", clock_rate=48000, fmtp="111/111"), "111/111", id="RED"),
    ],
)
def test_fmtp_for_a_publisher(codec: Codec, fmtp: str) -> None:
    assert codecs.fmtp_for_publisher(codec) == fmtp


@pytest.mark.parametrize(
    ("sent", "offered", "fmtp"),
    [
        pytest.param(
            h264("42c015"),
            h264("42e01f"),
            "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42c015",
            id="same profile: the level that comes",
        ),
        pytest.param(
            h264("640032"),
            h264("42e01f"),
            "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
            id="another profile: the viewer's own, or it drops the payload type",
        ),
        pytest.param(
            replace(H264, fmtp="sprop-parameter-sets=Z0LA==,aM=="),
            replace(H264, fmtp="packetization-mode=0"),
            "packetization-mode=0;sprop-parameter-sets=Z0LA==,aM==",
            id="parameter sets",
        ),
        pytest.param(
            replace(H264, fmtp="sprop-parameter-sets=<script>;x=y"),
            replace(H264, fmtp="a=b"),
            "a=b",
            id="nothing else of a publisher's reaches a viewer",
        ),
        pytest.param(
            replace(OPUS, fmtp="minptime=20;stereo=1;useinbandfec=1;maxaveragebitrate=96000"),
            replace(OPUS, fmtp="minptime=10;useinbandfec=1"),
            "minptime=20;useinbandfec=1;stereo=1;maxaveragebitrate=96000;sprop-stereo=1",
            id="opus, stereo",
        ),
        pytest.param(
            replace(OPUS, fmtp="useinbandfec=1;stereo=x;evil=1"),
            replace(OPUS, fmtp="minptime=10"),
            "minptime=10;useinbandfec=1",
            id="opus, mono",
        ),
        pytest.param(
            video("AV1", "level-idx=8"), video("AV1", "level-idx=5"), "level-idx=5", id="AV1: the viewer's own"
        ),
    ],
)
def test_fmtp_for_a_viewer(sent: Codec, offered: Codec, fmtp: str) -> None:
    assert codecs.fmtp_for_viewer(sent, offered) == fmtp


@pytest.mark.parametrize(
    ("codec", "sets"),
    [
        (video("H264", "sprop-parameter-sets=Z0LAFdo=,aM48gA==;packetization-mode=1"), ["6742c015da", "68ce3c80"]),
        (video("H265", "sprop-pps=RAHAcQ==; sprop-vps=QAEMAQ=="), ["4401c071", "40010c01"]),
        (video("H264", "sprop-parameter-sets=Z,aM48gA==;profile-level-id=42e01f"), []),
        (video("H265", f"sprop-sps={'A' * 2000}"), []),
        (video("H264", "sprop-parameter-sets=" + "aM48gA==," * 40), ["68ce3c80"] * 16),
        (video("VP9", "sprop-sps=RAHAcQ=="), []),
    ],
)
def test_parameter_sets_of_the_description(codec: Codec, sets: list[str]) -> None:
    assert [unit.hex() for unit in codecs.parameter_sets(codec)] == sets


def test_a_viewer_who_comes_first_is_ready_for_stereo() -> None:
    assert codecs.fmtp_for_unknown_publisher(replace(OPUS, fmtp="minptime=10")) == "minptime=10;stereo=1;sprop-stereo=1"
    assert codecs.fmtp_for_unknown_publisher(h264("42e01f")) == h264("42e01f").fmtp


@pytest.mark.parametrize(
    ("fmtp", "inside"), [("111/111", 111), ("111", 111), ("111/110", None), ("", None), ("x/x", None)]
)
def test_red(fmtp: str, inside: int | None) -> None:
    assert codecs.red_payload_type(fmtp) == inside


def test_whitelist() -> None:
    assert codecs.allowed((), codecs.KNOWN["vp8"])
    assert codecs.allowed(("H264", "VP8"), codecs.KNOWN["vp8"])
    assert not codecs.allowed(("H264",), codecs.KNOWN["vp8"])
    assert codecs.allowed(("OPUS",), codecs.KNOWN["red"])
    assert not codecs.allowed(("PCMA",), codecs.KNOWN["red"])
