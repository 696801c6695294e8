"""A stream and its two sides, without I/O."""

from __future__ import annotations

from live777py.rtc.negotiation import Codec, Encoding, PublishedMedia
from live777py.streams.session import Role, Session
from live777py.streams.strategy import Strategy
from live777py.streams.stream import Stream

VIDEO = PublishedMedia(
    kind="video",
    mid="0",
    codecs=(Codec(payload_type=102, name="H264", clock_rate=90000, fmtp="packetization-mode=1"),),
    encodings=(Encoding(),),
)


def closed(session: Session, now: int) -> Session:
    session.enter("closed", now)
    return session


def joined(stream: Stream, role: Role, name: str, now: int) -> Session:
    session = Session(name, role, now)
    if role == "publish":
        stream.life.publisher_joins(session)
        stream.published = (VIDEO,)
    else:
        stream.life.viewer_joins(session, now)
    return session


def test_a_fresh_stream_has_never_been_published_and_is_unwatched_since_its_creation() -> None:
    view = Stream("s", Strategy(), 1_000).view()
    assert (view.created_at, view.publish.leave_at, view.subscribe.leave_at) == (1_000, 0, 1_000)
    assert (view.publish.sessions, view.subscribe.sessions, view.codecs) == ((), (), ())
    assert (view.provisioned, view.on_demand, view.stats_scope) == (False, False, "node")


def test_a_side_has_left_when_its_last_session_has() -> None:
    stream = Stream("s", Strategy(), 1_000)
    publisher = joined(stream, "publish", "p", 2_000)
    one, two = joined(stream, "subscribe", "1", 3_000), joined(stream, "subscribe", "2", 3_000)
    view = stream.view()
    assert (view.publish.leave_at, view.subscribe.leave_at) == (0, 0)
    assert [(codec.kind, codec.codec, codec.fmtp) for codec in view.codecs] == [
        ("video", "h264", "packetization-mode=1")
    ]
    stream.leave(closed(one, 4_000), 4_000)
    assert stream.view().subscribe.leave_at == 0
    stream.leave(closed(two, 5_000), 5_000)
    stream.leave(closed(publisher, 6_000), 6_000)
    view = stream.view()
    assert (view.publish.leave_at, view.subscribe.leave_at) == (6_000, 5_000)
    assert view.codecs == ()
    assert stream.life.sessions == []


def test_who_has_left_is_listed_for_half_a_minute_and_counted_for_good() -> None:
    stream = Stream("s", Strategy(), 0)
    publisher, viewer = joined(stream, "publish", "p", 0), joined(stream, "subscribe", "v", 0)
    publisher.meter.sample(1_000, 10, 1_000)
    viewer.meter.sample(900, 9, 1_000)
    stream.leave(closed(publisher, 2_000), 2_000)
    stream.leave(closed(viewer, 2_000), 2_000)
    stream.expire_listed(31_999)
    view = stream.view()
    assert [session.state for session in (*view.publish.sessions, *view.subscribe.sessions)] == ["closed", "closed"]
    stream.expire_listed(32_000)
    view = stream.view()
    assert (view.publish.sessions, view.subscribe.sessions) == ((), ())
    assert (view.stats.publish.bytes, view.stats.subscribe.bytes) == (1_000, 900)
    assert (view.stats.publish.bitrate, view.stats.subscribe.bitrate) == (0, 0)


def test_the_live_publisher_hides_the_former_one() -> None:
    stream = Stream("s", Strategy(), 0)
    stream.leave(closed(joined(stream, "publish", "old", 0), 1_000), 1_000)
    joined(stream, "publish", "new", 2_000)
    assert [session.id for session in stream.view().publish.sessions] == ["new"]
    assert stream.view().publish.leave_at == 0
