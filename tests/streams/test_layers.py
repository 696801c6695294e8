"""Layers of a simulcast publisher, and kinds that are muted, over the fake engine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from live777py.errors import Conflict, NotFound, Unprocessable
from live777py.outbound import Endpoint
from live777py.rtc.negotiation import Encoding
from live777py.streams.layers import Layer, LayerChoice
from live777py.streams.views import LayerView
from tests.fakes import media as fake_media
from tests.fakes.client import AUDIO, VIDEO
from tests.fakes.remote import watch

if TYPE_CHECKING:
    from live777py.streams.clients import Answer
    from tests.streams.conftest import House

SOURCE = Endpoint("http://elsewhere/whep/origin")
LAYERED = replace(VIDEO, encodings=tuple(Encoding(rid=rid) for rid in ("0", "1", "2")))


def layer(rid: str, width: int = 0, bitrate: int = 0, *, active: bool = False, selected: bool = False) -> LayerView:
    height = width * 9 // 16
    return LayerView(encoding_id=rid, width=width, height=height, bitrate=bitrate, active=active, selected=selected)


class Simulcast:
    """A house with a publisher of three layers and one viewer."""

    def __init__(self, house: House, viewer: Answer) -> None:
        self.house = house
        self.viewer = viewer
        self.track = self._video_track()
        self.audio, self.video = house.subscriptions(viewer)

    def _video_track(self) -> int:
        return next(number for media, number in self.house.servers.peers[-1].tracks if media.kind == "video")

    async def returns(self, *rids: str) -> None:
        self.house.servers.peers[-1].end()
        self.house.servers.media = (AUDIO, replace(VIDEO, encodings=tuple(Encoding(rid=rid) for rid in rids)))
        await self.house.manager.pull("s", SOURCE)
        self.track = self._video_track()

    def layers(self) -> list[LayerView]:
        return self.house.manager.layers("s", self.viewer.session)

    async def select(self, rid: str | None = None, **limits: int) -> None:
        await self.house.manager.select_layer("s", self.viewer.session, LayerChoice(rid=rid, **limits))

    def published(self) -> tuple[Layer, ...]:
        return self.house.manager.published_layers("s", self.viewer.session)

    async def measure(self, **rates: tuple[int, int]) -> None:
        """Width and bitrate of each layer ("0" is `_0`); it is not sent where the bitrate is 0."""
        self.house.fake.counters.tracks = [
            fake_media.TrackStats(
                track=self.track, rid=name[1:], width=width, height=width * 9 // 16, bitrate=rate, active=rate > 0
            )
            for name, (width, rate) in rates.items()
        ]
        self.house.pass_time(1_000)
        await self.house.manager._sampler.refresh()

    async def hear(self, event: object) -> None:
        self.house.fake.emit(event)
        await self.house.manager._engine.dump()

    def pinned(self) -> str | None:
        return self.house.fake.layers.get(self.video)


@pytest.fixture
async def simulcast(house: House) -> Simulcast:
    house.servers.media = (AUDIO, LAYERED)
    await house.manager.pull("s", SOURCE)
    viewer, _ = await house.play()
    return Simulcast(house, viewer)


async def test_layers_are_known_from_the_offer_and_ordered_by_what_is_measured(simulcast: Simulcast) -> None:
    assert simulcast.layers() == [layer("0"), layer("1"), layer("2")]
    started = fake_media.TrackStarted(simulcast.track, "1", ssrc=1, payload_type=96, width=640, height=360)
    await simulcast.hear(started)
    assert simulcast.layers() == [layer("1", 640, active=True), layer("0"), layer("2")]
    simulcast.house.fake.counters.tracks = [
        fake_media.TrackStats(track=simulcast.track, rid="0", width=1280, height=720, bitrate=900),
        fake_media.TrackStats(track=simulcast.track, rid="1", width=1280, height=720, bitrate=2_000),
        fake_media.TrackStats(track=simulcast.track, rid="2", width=0, height=0, bitrate=0, active=False),
    ]
    simulcast.house.pass_time(1_000)
    await simulcast.house.manager._sampler.refresh()
    await simulcast.hear(fake_media.LayerChanged(simulcast.video, "0"))
    assert simulcast.layers() == [
        layer("1", 1280, 2_000, active=True),
        layer("0", 1280, 900, active=True, selected=True),
        layer("2"),
    ]


async def test_a_layer_is_selected_and_given_back(simulcast: Simulcast) -> None:
    await simulcast.select("2")
    assert simulcast.pinned() == "2"
    assert not any(view.selected for view in simulcast.layers()), "not before its key frame"
    await simulcast.hear(fake_media.LayerChanged(simulcast.video, "2"))
    assert [view.encoding_id for view in simulcast.layers() if view.selected] == ["2"]
    await simulcast.select(None)
    assert simulcast.pinned() is None
    assert simulcast.audio not in simulcast.house.fake.layers


async def test_a_selection_outlives_its_publisher_where_the_next_one_has_the_layer(simulcast: Simulcast) -> None:
    await simulcast.select("1")
    await simulcast.hear(fake_media.LayerChanged(simulcast.video, "1"))
    await simulcast.returns("0", "1")
    assert simulcast.pinned() == "1"
    assert simulcast.layers() == [layer("0"), layer("1")]
    await simulcast.returns("a", "b")
    assert simulcast.pinned() is None
    await simulcast.returns("0", "1")
    assert simulcast.pinned() is None


async def test_limits_are_the_engines_to_keep(simulcast: Simulcast) -> None:
    limits = simulcast.house.fake.limits
    await simulcast.select(max_width=700, max_height=400, max_spatial=1, max_temporal=0)
    asked = {"max_width": 700, "max_height": 400, "max_spatial": 1, "max_temporal": 0}
    assert (simulcast.pinned(), limits[simulcast.video]) == (None, asked)
    assert simulcast.audio not in limits
    await simulcast.returns("a", "b")
    assert limits[simulcast.video] == asked, "they outlive the publisher"
    await simulcast.select("a", spatial=0, temporal=0, max_width=700)
    pinned = {"spatial": 0, "temporal": 0, "max_width": 700}
    assert (simulcast.pinned(), limits[simulcast.video]) == ("a", pinned)
    await simulcast.returns("0", "1")
    assert (simulcast.pinned(), limits[simulcast.video]) == (None, {"max_width": 700}), "what was pinned does not"
    await simulcast.select()
    assert (simulcast.pinned(), limits[simulcast.video]) == (None, {})


async def test_layers_are_the_same_object_until_something_noticeable_changes(simulcast: Simulcast) -> None:
    nothing = simulcast.published()
    assert nothing == (Layer(rid="0"), Layer(rid="1"), Layer(rid="2"))
    await simulcast.measure(_0=(1280, 900), _1=(640, 400), _2=(320, 100))
    first = simulcast.published()
    assert [(layer.rid, layer.width, layer.bitrate) for layer in first] == [
        ("0", 1280, 900),
        ("1", 640, 400),
        ("2", 320, 100),
    ]
    await simulcast.measure(_0=(1280, 1_000), _1=(640, 350), _2=(320, 120))
    assert simulcast.published() is first
    for changed in ({"_0": (1280, 1_201)}, {"_1": (640, 0)}, {"_2": (160, 100)}):
        before = simulcast.published()
        await simulcast.measure(**{"_0": (1280, 900), "_1": (640, 400), "_2": (320, 100), **changed})
        assert simulcast.published() is not before


async def test_layers_inside_of_one_encoding(house: House) -> None:
    """Two spatial layers of two temporal ones (L2T2)."""
    await house.publish()
    viewer, _ = await house.play()
    (track,) = (number for number, (_, parameters) in house.fake.tracks.items() if parameters.kind == "video")
    _, video = house.subscriptions(viewer)
    inside = [
        fake_media.LayerStats(spatial=spatial, temporal=temporal, width=width, height=width // 2, bitrate=bitrate)
        for spatial, temporal, width, bitrate in ((0, 0, 320, 50), (0, 1, 320, 80), (1, 0, 640, 200), (1, 1, 640, 300))
    ]
    house.fake.counters.tracks = [fake_media.TrackStats(track=track, width=640, height=320, bitrate=300, layers=inside)]
    house.pass_time(1_000)
    await house.manager._sampler.refresh()
    manager, session = house.manager, viewer.session
    assert [(each.spatial, each.temporal, each.bitrate) for each in manager.published_layers("s", session)] == [
        (1, 1, 300),
        (1, 0, 200),
        (0, 1, 80),
        (0, 0, 50),
    ]
    house.fake.emit(fake_media.LayerChanged(video, None, spatial=1, temporal=0))
    await manager._engine.dump()
    assert manager.layers("s", session) == [
        LayerView(spatial_layer_id=1, width=640, height=320, bitrate=300, active=True, selected=True),
        LayerView(spatial_layer_id=0, width=320, height=160, bitrate=80, active=True, selected=False),
    ]
    await manager.select_layer("s", session, LayerChoice(spatial=0, temporal=1))
    assert house.fake.limits[video] == {"spatial": 0, "temporal": 1}
    for unknown in (LayerChoice(spatial=2), LayerChoice(temporal=2), LayerChoice(rid="0")):
        with pytest.raises(Unprocessable):
            await manager.select_layer("s", session, unknown)
    inside[2].active = inside[3].active = False
    house.pass_time(1_000)
    await manager._sampler.refresh()
    assert [each.bitrate for each in manager.published_layers("s", session)] == [0, 0, 80, 50]
    house.fake.counters.tracks[0].layers = []
    house.pass_time(1_000)
    await manager._sampler.refresh()
    assert manager.published_layers("s", session) == (), "there is no choice any more"


async def test_the_section_of_the_video(house: House) -> None:
    await house.publish()
    viewer, _ = await house.play()
    assert house.manager.video_section("s", viewer.session) == 1
    listener, _ = await house.play("s", watch("opus"))
    assert house.manager.video_section("s", listener.session) is None
    watcher, _ = await house.play("s", watch("vp8"))
    assert house.manager.video_section("s", watcher.session) == 0


async def test_what_cannot_be_selected(simulcast: Simulcast) -> None:
    house = simulcast.house
    with pytest.raises(Unprocessable):
        await simulcast.select("3")
    for inside in ("spatial", "temporal"):
        with pytest.raises(Unprocessable):
            await simulcast.select("0", **{inside: 1})
    for stream, session in (("s", "none"), ("none", simulcast.viewer.session)):
        with pytest.raises(NotFound):
            house.manager.layers(stream, session)
        with pytest.raises(NotFound):
            await house.manager.select_layer(stream, session, LayerChoice(rid="0"))
    (publisher,) = house.manager.stream("s").publish.sessions
    with pytest.raises(Unprocessable):
        house.manager.layers("s", publisher.id)
    push = await house.manager.push("s", SOURCE)
    with pytest.raises(Unprocessable):
        await house.manager.select_layer("s", push, LayerChoice(rid="0"))
    assert simulcast.pinned() is None


async def test_without_simulcast_there_are_no_layers(house: House) -> None:
    viewer, _ = await house.play()
    for _ in range(2):  # without a publisher, and with one that has a single layer
        for rid in (None, "0"):
            with pytest.raises(Conflict, match="not layers"):
                await house.manager.select_layer("s", viewer.session, LayerChoice(rid=rid))
        with pytest.raises(Conflict, match="not layers"):
            house.manager.layers("s", viewer.session)
        assert house.manager.published_layers("s", viewer.session) == ()
        if house.manager.stream("s").codecs == ():
            await house.publish()


# Mute


async def test_a_viewer_mutes_a_kind(house: House) -> None:
    await house.publish()
    viewer, _ = await house.play()
    other, _ = await house.play()
    audio, video = house.subscriptions(viewer)
    await house.manager.mute("s", viewer.session, "video", False)
    assert house.fake.paused == {video}
    await house.manager.mute("s", viewer.session, "audio", False)
    assert house.fake.paused == {audio, video}
    for kind in ("audio", "video"):
        await house.manager.mute("s", viewer.session, kind, True)
    assert house.fake.paused == set()
    assert house.state(other) == "connected"


async def test_a_publisher_mutes_a_kind_for_all_there_are_and_will_be(house: House) -> None:
    publisher, remote = await house.publish()
    viewers = [(await house.play())[0]]
    await house.manager.mute("s", publisher.session, "audio", False)
    viewers.append((await house.play())[0])
    audio = [house.subscriptions(viewer)[0] for viewer in viewers]
    assert house.fake.paused == set(audio)
    await house.manager.mute("s", viewers[0].session, "audio", False)
    await house.manager.mute("s", publisher.session, "audio", True)
    assert house.fake.paused == {audio[0]}, "the one who does not want to hear it still does not"
    await house.manager.mute("s", publisher.session, "video", False)
    remote.dtls.shutdown()
    await house.until(lambda: house.manager.stream("s").publish.leave_at > 0)
    await house.publish()
    assert house.fake.paused == {audio[0]}, "the next publisher is not mute"


async def test_who_has_no_such_kind_mutes_nothing(house: House) -> None:
    await house.publish()
    viewer, _ = await house.play("s", watch("vp8"))
    await house.manager.mute("s", viewer.session, "audio", False)
    assert house.fake.paused == set()
    with pytest.raises(NotFound):
        await house.manager.mute("s", "none", "audio", False)
