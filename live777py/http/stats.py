"""The streams and the media engine as families of metrics."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from live777py.http.keys import ENGINE_STATS, GIVEN_UP, RECORDER_COUNTS, STORAGE, STREAMS
from live777py.metrics import Distribution, Gauge, Total
from live777py.storage import Spool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp import web

    from live777py.media.native import Stats
    from live777py.metrics import Family
    from live777py.recorder.parts import Counts as RecorderCounts
    from live777py.storage import SpoolStatistics
    from live777py.streams.views import Counts, StreamView

_EVENTS: Final = {
    "datagram_ignored": "datagrams_ignored",
    "key_frame": "key_frames",
    "nack_received": "nacks_received",
    "nack_sent": "nacks_sent",
    "nack_unanswered": "nacks_unanswered",
    "packet_lost": "lost",
    "packet_repaired": "repaired",
    "packet_retransmitted": "retransmitted",
    "pli_received": "plis_received",
    "pli_sent": "plis_sent",
    "srtp_rejected": "srtp_rejected",
}
"""Each with the counter of `WorkerStats`."""
_BANDWIDTHS: Final = (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 30_000_000)
"""From sound alone to a picture of 4K."""
_LIVE_STATES: Final = ("new", "connecting", "connected", "disconnected", "failed")


async def read_families(app: web.Application) -> list[Family]:
    streams = app[STREAMS]
    families: list[Family] = [*_of_counts(streams.counts()), _session_states(streams.streams())]
    if (read_stats := app.get(ENGINE_STATS)) is not None:
        stats = await read_stats()
        families += [*_of_workers(stats), _bandwidths(stats)]
    if (counts := app.get(RECORDER_COUNTS)) is not None:
        families += _of_recorder(counts)
    if (given_up := app.get(GIVEN_UP)) is not None:
        text = "Events that hooks or webhooks were not told of"
        families.append(Total(name="live777_events_given_up", text=text, label="by", values=given_up()))
    if isinstance(storage := app.get(STORAGE), Spool):
        families += _of_spool(storage.statistics)
    return families


def _of_counts(counts: Counts) -> Iterator[Gauge | Total]:
    """Live777's names."""
    yield Gauge(name="live777_stream", text="Streams", values={"": counts.streams})
    yield Gauge(name="live777_publish", text="Publishing sessions", values={"": counts.publishers})
    yield Gauge(name="live777_subscribe", text="Playing sessions", values={"": counts.subscribers})
    yield Gauge(name="live777_reforward", text="Cascade sessions", values={"": counts.reforwards})
    yield Total(
        name="live777_rtp_bytes",
        text="RTP bytes",
        label="direction",
        values={"in": counts.rtp_bytes_in, "out": counts.rtp_bytes_out},
    )
    yield Total(
        name="live777_data_messages",
        text="Messages to listeners on data channels",
        label="outcome",
        values={"sent": counts.data_messages_sent, "lost": counts.data_messages_lost},
    )


def _of_recorder(counts: RecorderCounts) -> Iterator[Gauge | Total]:
    yield Gauge(name="live777_recordings", text="Recordings that run", values={"": counts.active})
    yield Total(name="live777_recorded_segments", text="Segments written", values={"": counts.segments})
    yield Total(name="live777_recorded_bytes", text="Bytes of segments written", values={"": counts.bytes})
    yield Total(
        name="live777_recorder_frames_dropped", text="Frames that are in no segment", values={"": counts.dropped}
    )
    yield Total(name="live777_recordings_ended", text="Recordings that are over", label="reason", values=counts.ended)


def _of_spool(statistics: SpoolStatistics) -> Iterator[Gauge | Total]:
    objects, size = statistics.queued_files, statistics.queued_bytes
    yield Gauge(name="live777_spool_queued_objects", text="Objects that wait for the store", values={"": objects})
    yield Gauge(name="live777_spool_queued_bytes", text="Bytes that wait for the store", values={"": size})
    yield Total(
        name="live777_spool_uploaded_objects", text="Objects that went up", values={"": statistics.uploaded_files}
    )
    yield Total(name="live777_spool_uploaded_bytes", text="Bytes that went up", values={"": statistics.uploaded_bytes})
    yield Total(
        name="live777_spool_upload_failures", text="Uploads to be tried again", values={"": statistics.failures}
    )
    yield Total(
        name="live777_spool_refused_objects",
        text="Objects that there was no room for",
        values={"": statistics.refused},
    )


def _session_states(views: list[StreamView]) -> Gauge:
    states = Counter(
        session.state for view in views for side in (view.publish, view.subscribe) for session in side.sessions
    )
    return Gauge(
        name="live777_sessions",
        text="Sessions by state",
        label="state",
        values={state: states[state] for state in _LIVE_STATES},
    )


def _bandwidths(stats: Stats) -> Distribution:
    """Of viewers whose network has been seen to carry something: those that just joined are not in it."""
    estimates = [row.available_bitrate for row in stats.transports if row.available_bitrate is not None]
    return Distribution(
        name="live777_viewer_bandwidth_bits",
        text="What the networks of the present viewers have been seen to carry, in bits per second",
        values=estimates,
        bounds=_BANDWIDTHS,
    )


def _of_workers(stats: Stats) -> Iterator[Gauge | Total]:
    workers = stats.workers
    yield Total(
        name="live777_worker_cpu_seconds",
        text="CPU time of the media threads",
        label="worker",
        values={str(worker.worker): worker.thread_cpu_seconds for worker in workers},
    )
    yield Total(
        name="live777_udp_datagrams",
        text="UDP datagrams",
        label="direction",
        values={
            "in": sum(worker.datagrams_received for worker in workers),
            "out": sum(worker.datagrams_sent for worker in workers),
        },
    )
    yield Total(
        name="live777_udp_send_calls",
        text="System calls that sent datagrams",
        values={"": sum(worker.send_calls for worker in workers)},
    )
    yield Total(
        name="live777_udp_send_errors",
        text="Datagrams that the system refused to send",
        values={"": sum(worker.send_errors for worker in workers)},
    )
    yield Gauge(
        name="live777_tcp_connections",
        text="TCP connections of media",
        values={"": sum(worker.tcp_connections for worker in workers)},
    )
    yield Total(
        name="live777_tcp_accepted_connections",
        text="TCP connections that were taken",
        values={"": sum(worker.tcp_accepted for worker in workers)},
    )
    yield Total(
        name="live777_tcp_closed_connections",
        text="TCP connections that were closed at once (one too many) or soon (nothing proved)",
        label="reason",
        values={
            "refused": sum(worker.tcp_refused for worker in workers),
            "rejected": sum(worker.tcp_rejected for worker in workers),
        },
    )
    yield Total(
        name="live777_tcp_packets",
        text="Packets to peers over TCP; dropped ones were not read in time",
        label="outcome",
        values={
            "sent": sum(worker.tcp_datagrams_sent for worker in workers),
            "dropped": sum(worker.tcp_datagrams_dropped for worker in workers),
        },
    )
    yield Total(
        name="live777_relay_dropped_packets",
        text="Packets that a full queue between media threads did not take",
        values={"": sum(worker.relay_dropped for worker in workers)},
    )
    yield Total(
        name="live777_packets",
        text="SRTP packets",
        label="direction",
        values={
            "in": sum(worker.packets_received for worker in workers),
            "out": sum(worker.packets_sent for worker in workers),
        },
    )
    yield Total(
        name="live777_forwarding",
        text="Packets of tracks times their viewers, those that left, and those that left later, from the cache",
        label="outcome",
        values={
            "offered": sum(worker.packets_offered for worker in workers),
            "forwarded": sum(worker.packets_forwarded for worker in workers),
            "replayed": sum(worker.packets_replayed for worker in workers),
        },
    )
    dropped: Counter[str] = Counter()
    for worker in workers:
        dropped.update(worker.packets_dropped)
    yield Total(
        name="live777_dropped_packets",
        text="Packets that a viewer was not sent when they came",
        label="reason",
        values=dropped,
    )
    yield Total(
        name="live777_media_events",
        text="Loss and repair: packets, NACKs, picture loss indications, rejected datagrams",
        label="event",
        values={name: sum(getattr(worker, counter) for worker in workers) for name, counter in _EVENTS.items()},
    )
