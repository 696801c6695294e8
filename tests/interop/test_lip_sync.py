"""Sound and picture of a recording, where encoders are fast and slow. All codecs are in `test_recording_shown.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.gateway import running_gateway
from tests.interop.clapped import Clapper, assert_every_picture_with_its_sound, config, record
from tests.interop.network import network_namespace
from tests.interop.recorded import download

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 6
CLAPPERS = [
    # The encoder looks a second ahead, and one report has to tell it.
    Clapper("slow", "VP9", "once"),
    Clapper("fast", "VP8"),
]


@pytest.mark.timeout(90)
async def test_sound_and_picture_of_a_slow_encoder(tmp_path: Path) -> None:
    with network_namespace() as address:
        paths, _ = await record(tmp_path, address, CLAPPERS, SECONDS)
    async with running_gateway(tmp_path, config=config(tmp_path)) as gateway:
        for clapper in CLAPPERS:
            presented = await download(gateway, paths[clapper.name])
            assert_every_picture_with_its_sound(presented, clapper.codec, SECONDS)
