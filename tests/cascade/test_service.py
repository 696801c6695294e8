"""Sources and targets over minutes of virtual time: when they connect, to whom, how often, and when they stop."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING

import pytest

from live777py.cascade.link import CONNECT_TIMEOUT
from live777py.cascade.service import CascadeService
from live777py.cascade.settings import CascadeSettings, StreamCascade
from live777py.cascade.targets import LINGER
from live777py.errors import BadRequest, Conflict, Live777Error, NotFound, Unavailable, UpstreamError, UpstreamTimeout
from live777py.outbound import Endpoint
from live777py.streams.events import SourceUnwanted, SourceWanted, StreamDeleted
from tests.fakes.cascade_streams import FakeCascadeStreams
from tests.virtual_time import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from live777py.streams.events import DeleteReason, LeaveReason

A, B, C = "http://a/whep/cam", "http://b/whep/cam", "http://c/whip/cam"
DOWN = UpstreamError("nobody there")


def sources(*urls: str, on_demand: bool = False) -> CascadeSettings:
    endpoints = tuple(Endpoint.parse(url) for url in urls)
    return CascadeSettings(streams={"cam": StreamCascade(sources=endpoints, on_demand=on_demand)})


def targets(*urls: str) -> CascadeSettings:
    return CascadeSettings(streams={"cam": StreamCascade(targets=tuple(Endpoint.parse(url) for url in urls))})


@asynccontextmanager
async def running(streams: FakeCascadeStreams, settings: CascadeSettings) -> AsyncIterator[CascadeService]:
    service = CascadeService(streams, settings, random=Random(1))
    await service.start()
    try:
        yield service
    finally:
        await service.stop()
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1


def state(service: CascadeService) -> str:
    return service.source("cam").state


# Sources


def test_a_source_is_connected_from_the_start_and_ended_at_the_end() -> None:
    async def body() -> None:
        streams = FakeCascadeStreams()
        async with running(streams, sources(A)) as service:
            assert state(service) == "Initializing"
            await asyncio.sleep(1)
            assert state(service) == "Connected"
            assert [view.stream_id for view in service.sources()] == ["cam"]
            await asyncio.sleep(3600)
            assert len(streams.attempts) == 1
        assert streams.ended == [("cam", A)]
        assert state(service) == "Disconnected"

    run(body())


def test_a_source_that_is_away_is_tried_ever_less_often() -> None:
    async def body() -> None:
        streams = FakeCascadeStreams(answers={A: [DOWN]})
        async with running(streams, sources(A)) as service:
            await asyncio.sleep(600)
            assert state(service) == "Error"
            gaps = list(streams.times(A))
            for gap, wanted in zip(gaps, [1, 2, 4, 8, 16, 32, 60, 60, 60], strict=False):
                assert wanted * 0.8 <= gap <= min(wanted * 1.2, 60) + 0.1
            streams.answers.clear()
            await asyncio.sleep(61)
            assert state(service) == "Connected"

    run(body())


def test_a_connection_that_is_lost_is_made_again() -> None:
    async def body() -> None:
        streams = FakeCascadeStreams()
        async with running(streams, sources(A)) as service:
            for _ in range(3):
                await asyncio.sleep(30)
                assert state(service) == "Connected"
                streams.end_only("cam")
                await asyncio.sleep(0.1)
                assert state(service) == "Reconnecting"
            await asyncio.sleep(2)
            assert state(service) == "Connected"
            assert len(streams.attempts) == 4

    run(body())


def test_a_source_that_falls_silent_is_made_again() -> None:
    async def body() -> None:
        streams = FakeCascadeStreams()
        async with running(streams, sources(A)) as service:
            await asyncio.sleep(30)
            streams.fall_silent("cam", "pull")
            await asyncio.sleep(2)
            assert streams.ended == [("cam", A)]
            assert state(service) == "Connected"
            assert len(streams.attempts) == 2

    run(body())


def test_a_target_waits_for_a_source_that_fell_silent() -> None:
    async def body() -> None:
        streams = FakeCascadeStreams()
        both = StreamCascade(sources=(Endpoint.parse(A),), targets=(Endpoint.parse(C),))
        async with running(streams, CascadeSettings(streams={"cam": both})):
            await asyncio.sleep(30)
            streams.answers[A] = [DOWN, "connected"]
            streams.fall_silent("cam", "pull")
            await asyncio.sleep(5)
            assert [one.direction for one in streams.live("cam")] == ["push", "pull"]
            assert streams.ended == [("cam", A)]

    run(body())


def test_a_target_that_falls_silent_keeps_its_session_and_with_it_its_viewers() -> None:
    async def body() -> None:
        streams = FakeCascadeStreams()
        streams.publish("cam")
        async with running(streams, targets(C)):
            await asyncio.sleep(30)
            push = streams.fall_silent("cam", "push")
            await asyncio.sleep(10)
            assert push.state == "disconnected"
            assert len(streams.attempts) == 1

    run(body())


@pytest.mark.parametrize("answer", ["silent", "refused"])
def test_an_answer_without_a_connection_is_a_failure(answer: str) -> None:
    async def body() -> None:
        streams = FakeCascadeStreams(answers={A: [answer, "connected"]})
        async with running(streams, sources(A)) as service:
            await asyncio.sleep(CONNECT_TIMEOUT + 3)
            assert state(service) == "Connected"
            assert len(streams.attempts) == 2
            assert streams.ended == ([("cam", A)] if answer == "silent" else [])

    run(body())


def test_the_first_source_that_works_is_used() -> None:
    async def body() -> None:
        streams = FakeCascadeStreams(answers={A: [DOWN, DOWN, "connected"]})
        async with running(streams, sources(A, B)) as service:
            await asyncio.sleep(30)
            assert [url for *_, url in streams.attempts] == [A, B]
            streams.answers[B] = [DOWN]
            streams.end_only("cam")
            await asyncio.sleep(30)
            assert [url for *_, url in streams.attempts] == [A, B, A, B, A]
            assert state(service) == "Connected"

    run(body())


CONFLICTS = [
    UpstreamError("taken", answered=409),
    Conflict("taken"),
    UpstreamError("taken", answered=409, retry_after=1.0),
]


@pytest.mark.parametrize("conflict", CONFLICTS)
def test_a_conflict_is_tried_again_each_second(conflict: Live777Error) -> None:
    async def body() -> None:
        streams = FakeCascadeStreams(answers={A: [*[conflict] * 20, "connected"]})
        async with running(streams, sources(A)) as service:
            await asyncio.sleep(25.5)
            assert state(service) == "Connected"
            assert all(0.8 <= gap <= 1.3 for gap in streams.times(A))

    run(body())


def test_the_other_side_says_when_to_come_again() -> None:
    async def body() -> None:
        streams = FakeCascadeStreams(answers={A: [UpstreamError("full", answered=503, retry_after=90.0), "connected"]})
        async with running(streams, sources(A)):
            await asyncio.sleep(200)
            (gap,) = streams.times(A)
            assert 90 <= gap < 91

    run(body())


def test_events_that_were_missed_are_made_up_for() -> None:
    async def body() -> None:
        streams = FakeCascadeStreams()
        async with running(streams, sources(A)) as service:
            await asyncio.sleep(30)
            streams.end_only("cam")
            for _ in range(5000):
                streams.say(StreamDeleted(stream="other", reason="orphaned"))
            await asyncio.sleep(2)
            assert state(service) == "Connected"
            assert len(streams.attempts) == 2

    run(body())


# On demand


def test_on_demand_nothing_is_connected_until_somebody_watches() -> None:
    async def body() -> None:
        streams = FakeCascadeStreams()
        async with running(streams, sources(A, on_demand=True)) as service:
            await asyncio.sleep(3600)
            assert streams.attempts == []
            assert state(service) == "Disconnected"
            streams.say(SourceWanted(stream="cam"))
            await asyncio.sleep(1)
            assert state(service) == "Connected"
            streams.say(SourceUnwanted(stream="cam"))
            await asyncio.sleep(0.1)
            assert state(service) == "Disconnected"
            assert streams.live("cam") == []
            await asyncio.sleep(3600)
            assert len(streams.attempts) == 1
            for event in (SourceWanted, SourceUnwanted, SourceWanted):
                streams.say(event(stream="cam"))
            await asyncio.sleep(1)
            assert state(service) == "Connected"

    run(body())


def test_who_waits_hears_of_every_failure_and_a_newcomer_hurries_the_next_attempt() -> None:
    async def body() -> None:
        streams = FakeCascadeStreams(answers={A: [DOWN]})
        async with running(streams, sources(A, on_demand=True)):
            for number in range(1, 7):
                streams.say(SourceWanted(stream="cam"))
                await asyncio.sleep(0.1)
                assert streams.failures == [("cam", "nobody there")] * number

    run(body())


# Targets


def test_a_target_follows_the_publisher() -> None:
    async def body() -> None:
        streams = FakeCascadeStreams()
        async with running(streams, targets(A, C)):
            await asyncio.sleep(60)
            assert streams.attempts == []
            publisher = streams.publish("cam")
            await asyncio.sleep(1)
            assert {session.endpoint for session in streams.live("cam")} == {"", A, C}
            streams.end("cam", publisher, "api-deleted")
            await asyncio.sleep(0.1)
            assert streams.live("cam") == []
            assert len(streams.ended) == 2
            await asyncio.sleep(60)
            assert len(streams.attempts) == 2

    run(body())


def test_a_publisher_that_vanishes_and_returns_finds_its_push() -> None:
    async def body() -> None:
        streams = FakeCascadeStreams()
        async with running(streams, targets(C)):
            for seconds in (1, LINGER - 1, LINGER + 1):
                publisher = streams.publish("cam")
                await asyncio.sleep(LINGER + 1)
                assert len(streams.attempts) == 1
                streams.end("cam", publisher, "idle-timeout")
                await asyncio.sleep(seconds)
            assert streams.live("cam") == []
            streams.publish("cam")
            await asyncio.sleep(1)
            assert len(streams.attempts) == 2

    run(body())


@pytest.mark.parametrize("reason", ["api-deleted", "stream-deleted", "unwatched", "source-removed"])
def test_a_publisher_that_was_ended_ends_its_push(reason: LeaveReason) -> None:
    async def body() -> None:
        streams = FakeCascadeStreams()
        async with running(streams, targets(C)):
            publisher = streams.publish("cam")
            await asyncio.sleep(1)
            streams.end("cam", publisher, reason)
            await asyncio.sleep(0.1)
            assert streams.ended == [("cam", C)]

    run(body())


def test_a_push_that_meets_another_publisher_goes_on_trying() -> None:
    async def body() -> None:
        streams = FakeCascadeStreams(answers={C: [*[CONFLICTS[0]] * 3, "connected"]})
        async with running(streams, targets(C)):
            streams.publish("cam")
            await asyncio.sleep(4)
            assert len(streams.attempts) == 4
            assert [session.endpoint for session in streams.live("cam")] == ["", C]

    run(body())


def test_a_source_is_passed_on_to_a_target() -> None:
    async def body() -> None:
        streams = FakeCascadeStreams()
        both = StreamCascade(sources=(Endpoint.parse(A),), targets=(Endpoint.parse(C),))
        async with running(streams, CascadeSettings(streams={"cam": both})):
            await asyncio.sleep(1)
            assert [attempt[1:] for attempt in streams.attempts] == [("pull", "cam", A), ("push", "cam", C)]
        assert sorted(streams.ended) == [("cam", A), ("cam", C)]

    run(body())


# Reconfiguration


def test_what_has_not_changed_keeps_its_session() -> None:
    async def body() -> None:
        streams = FakeCascadeStreams()
        async with running(streams, sources(A)) as service:
            await asyncio.sleep(1)
            await service.reconfigure(sources(A, on_demand=True))
            await asyncio.sleep(1)
            assert len(streams.attempts) == 1
            await service.reconfigure(sources(B, on_demand=True))
            await asyncio.sleep(1)
            assert [url for *_, url in streams.attempts] == [A, B]
            assert streams.ended == [("cam", A)]
            await service.reconfigure(CascadeSettings())
            assert streams.live("cam") == []
            assert service.sources() == []

    run(body())


def test_a_source_that_is_no_longer_on_demand_starts() -> None:
    async def body() -> None:
        streams = FakeCascadeStreams()
        async with running(streams, sources(A, on_demand=True)) as service:
            await service.reconfigure(sources(A))
            await asyncio.sleep(1)
            assert state(service) == "Connected"

    run(body())


def test_a_source_that_is_away_is_left_alone_once_it_is_on_demand() -> None:
    async def body() -> None:
        streams = FakeCascadeStreams(answers={A: [DOWN]})
        async with running(streams, sources(A)) as service:
            await asyncio.sleep(1)
            await service.reconfigure(sources(A, on_demand=True))
            assert state(service) == "Disconnected"
            attempts = len(streams.attempts)
            await asyncio.sleep(600)
            assert len(streams.attempts) == attempts

    run(body())


@pytest.mark.parametrize("unwanted", [False, True])
def test_a_source_that_is_wanted_before_it_is_there(unwanted: bool) -> None:
    """The streams know of a new configuration a moment earlier."""

    async def body() -> None:
        streams = FakeCascadeStreams()
        async with running(streams, CascadeSettings()) as service:
            streams.say(SourceWanted(stream="cam"))
            if unwanted:
                streams.say(SourceUnwanted(stream="cam"))
            await asyncio.sleep(1)
            await service.reconfigure(sources(A, on_demand=True))
            await asyncio.sleep(1)
            assert state(service) == ("Disconnected" if unwanted else "Connected")

    run(body())


def test_targets_come_and_go_while_somebody_publishes() -> None:
    async def body() -> None:
        streams = FakeCascadeStreams()
        async with running(streams, CascadeSettings()) as service:
            streams.publish("cam")
            await asyncio.sleep(1)
            for settings, pushed in ((targets(A), {A}), (targets(A, C), {A, C}), (targets(C), {C}), (targets(), set())):
                await service.reconfigure(settings)
                await asyncio.sleep(1)
                assert {one.endpoint for one in streams.live("cam")} == {"", *pushed}
            assert len(streams.attempts) == 2

    run(body())


# The API


def test_one_hop_by_the_api() -> None:
    async def body() -> None:
        streams = FakeCascadeStreams()
        async with running(streams, CascadeSettings()) as service:
            await service.cascade("in", source_url=A, target_url=None, authorization="Bearer t")
            await service.cascade("out", source_url=None, target_url=C, authorization=None)
            assert [attempt[1:] for attempt in streams.attempts] == [("pull", "in", A), ("push", "out", C)]
            (session,) = streams.live("in")
            streams.end("in", session)
            await asyncio.sleep(600)
            assert len(streams.attempts) == 2
            streams.answers[A] = [UpstreamTimeout("too late")]
            with pytest.raises(UpstreamTimeout):
                await service.cascade("in", source_url=A, target_url=None, authorization=None)
            with pytest.raises(BadRequest):
                await service.cascade("in", source_url="ftp://a/x", target_url=None, authorization=None)

    run(body())


def test_a_source_of_the_api_is_kept_up_until_it_is_removed() -> None:
    async def body() -> None:
        streams = FakeCascadeStreams()
        async with running(streams, CascadeSettings()) as service:
            view = await service.add_source("cam", "whep://a/whep/cam")
            assert (view.stream_id, view.source_type, view.state) == ("cam", "whep", "Connected")
            streams.end_only("cam")
            await asyncio.sleep(2)
            assert state(service) == "Connected"
            with pytest.raises(Conflict):
                await service.add_source("cam", B)
            await service.remove_source("cam")
            assert streams.live("cam") == []
            for use in (service.remove_source("cam"), _source(service)):
                with pytest.raises(NotFound):
                    await use

    run(body())


async def _source(service: CascadeService) -> None:
    service.source("cam")


@pytest.mark.parametrize("answer", [DOWN, "silent", "refused"])
def test_a_source_of_the_api_that_does_not_connect_is_none(answer: Exception | str) -> None:
    async def body() -> None:
        streams = FakeCascadeStreams(answers={A: [answer]})
        async with running(streams, CascadeSettings()) as service:
            with pytest.raises(UpstreamError):
                await service.add_source("cam", A)
            assert service.sources() == []
            assert streams.live("cam") == []

    run(body())


def test_a_request_for_a_source_that_is_given_up_leaves_none() -> None:
    async def body() -> None:
        streams = FakeCascadeStreams(answers={A: ["silent"]})
        async with running(streams, CascadeSettings()) as service:
            asking = asyncio.create_task(service.add_source("cam", A))
            await asyncio.sleep(1)
            asking.cancel()
            await asyncio.wait([asking])
            assert service.sources() == []
            assert streams.live("cam") == []

    run(body())


@pytest.mark.parametrize("by", ["stream", "source"])
def test_a_source_that_is_ended_while_it_is_asked_for(by: str) -> None:
    """Who asked is told, and the next one may ask."""

    async def body() -> None:
        streams = FakeCascadeStreams(answers={A: ["silent"]})
        async with running(streams, CascadeSettings()) as service:
            asking = asyncio.create_task(service.add_source("cam", A))
            await asyncio.sleep(1)
            if by == "source":
                await service.remove_source("cam")
            else:
                streams.say(StreamDeleted(stream="cam", reason="api-deleted"))
            with pytest.raises(Unavailable):
                await asking
            assert service.sources() == []
            assert (await service.add_source("cam", B)).state == "Connected"
            assert [view.id for view in service.sources()] == ["cam"]

    run(body())


def test_the_configuration_keeps_a_source_whose_first_attempt_for_the_api_fails() -> None:
    async def body() -> None:
        streams = FakeCascadeStreams(answers={A: ["silent", "connected"]})
        async with running(streams, CascadeSettings()) as service:
            asking = asyncio.create_task(service.add_source("cam", A))
            await asyncio.sleep(1)
            await service.reconfigure(sources(A))
            with pytest.raises(UpstreamTimeout):
                await asking
            await asyncio.sleep(5)
            assert state(service) == "Connected"

    run(body())


@pytest.mark.parametrize(
    ("reason", "kept"),
    [("api-deleted", False), ("subscribe-leave-timeout", False), ("orphaned", True), ("publish-leave-timeout", True)],
)
def test_a_source_of_the_api_goes_with_its_stream(reason: DeleteReason, kept: bool) -> None:
    async def body() -> None:
        streams = FakeCascadeStreams()
        async with running(streams, CascadeSettings()) as service:
            await service.add_source("cam", A)
            streams.end_only("cam", "stream-deleted")
            streams.say(StreamDeleted(stream="cam", reason=reason))
            await asyncio.sleep(5)
            assert [view.state for view in service.sources()] == (["Connected"] if kept else [])

    run(body())


def test_what_the_configuration_says_is_not_the_apis() -> None:
    async def body() -> None:
        streams = FakeCascadeStreams()
        async with running(streams, sources(A)) as service:
            await asyncio.sleep(1)
            for use in (service.add_source("cam", B), service.remove_source("cam")):
                with pytest.raises(Conflict, match="config file"):
                    await use
            assert state(service) == "Connected"

    run(body())


def test_the_configuration_takes_over_a_source_of_the_api() -> None:
    async def body() -> None:
        streams = FakeCascadeStreams()
        async with running(streams, CascadeSettings()) as service:
            await service.add_source("cam", A)
            await service.reconfigure(sources(A))
            await asyncio.sleep(1)
            assert len(streams.attempts) == 1
            with pytest.raises(Conflict):
                await service.remove_source("cam")

    run(body())


def test_a_failure_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    async def body() -> None:
        streams = FakeCascadeStreams(answers={A: [*[DOWN] * 4, CONFLICTS[0]]})
        async with running(streams, sources(A)):
            await asyncio.sleep(600)

    run(body())
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert said == [f"{A}: nobody there", f"{A}: taken"]


def test_no_token_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def body() -> None:
        streams = FakeCascadeStreams(answers={A: [DOWN, "connected"]})
        settings = sources("whep://hunter2@a/whep/cam?token=hunter3")
        async with running(streams, settings) as service:
            await asyncio.sleep(5)
            assert state(service) == "Connected"
            assert "hunter" not in repr(settings)

    run(body())
    assert "connected to http://a/whep/cam" in caplog.text
    assert "hunter" not in caplog.text
