"""The loops that ship with the package."""

from __future__ import annotations

import re

import pytest

from live777py.errors import StartError
from live777py.loadtest import clip
from live777py.loadtest.clip import FRAME_RATE, PACKET_RATE, VideoCodec, load

START_CODE = re.compile(rb"\x00*\x00\x00\x01")


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_picture_and_sound_are_equally_long_and_make_one_mbit(codec: VideoCodec) -> None:
    loop = load(codec)
    seconds = len(loop.video) / FRAME_RATE
    assert seconds == len(loop.audio) / PACKET_RATE == 2
    rate = sum(map(len, loop.video + loop.audio)) * 8 / seconds
    assert 0.9e6 < rate < 1.1e6


def test_h264_begins_with_parameter_sets_and_has_one_key_frame() -> None:
    kinds = [[unit[0] & 0x1F for unit in START_CODE.split(picture) if unit] for picture in load("h264").video]
    assert kinds[0][:1] == [7]
    assert {7, 8, 5} <= set(kinds[0])
    assert all(5 not in kind for kind in kinds[1:])


def test_vp8_begins_with_its_one_key_frame() -> None:
    assert [picture[0] & 1 for picture in load("vp8").video] == [0] + [1] * 59


def test_a_package_without_its_files(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(clip, "_MEDIA", tmp_path)
    with pytest.raises(StartError, match="the clip of vp8 cannot be read"):
        load("vp8")
