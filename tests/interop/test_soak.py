"""Half an hour (`SOAK_MINUTES`) of publishers and viewers who come and go, at 2 % loss; then all counters balance."""

from __future__ import annotations

import asyncio
import os
import re
import statistics
from typing import TYPE_CHECKING, Final

import aiohttp
import psutil
import pytest

from tests.gateway import Gateway, running_gateway
from tests.interop.soak import SAMPLE_SECONDS, Crowd, Sample, losing, sample
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from live777py.media.native import Stats

MINUTES: Final = float(os.environ.get("SOAK_MINUTES", "30"))
SEED: Final = int(os.environ.get("SOAK_SEED", "1"))
LOSS_PERCENT: Final = 2
MEMORY_GROWTH: Final = 1.05
"""Of the medians of the second quarter and the last: caches are full by then."""
FORGOTTEN_SECONDS: Final = 45
"""Consent of who has vanished (RFC 7675), and the list's memory."""
EXPECTED: Final = (
    "the session has ended: peer-closed",  # the publisher has gone
    "the session has ended: codec-changed",
    "connected, and nothing came",  # there was none
    "it was ended before it was connected",
    "answers 503 Service Unavailable",  # it went while the viewer was being let in
    "answers 409 Conflict",  # whose predecessor is just leaving
    "answers 404 Not Found",
)


@pytest.mark.slow
@pytest.mark.timeout(MINUTES * 60 + 600)
async def test_nothing_is_lost_or_left_behind(own_network: str, tmp_path: Path) -> None:
    config = '[webrtc]\nworkers = 2\n[log]\nlevel = "info"\n'
    environment = {"LIVE777_WEBRTC_ICE_UDP_ADDRS": f"{own_network}:0"}
    with losing(LOSS_PERCENT):
        async with running_gateway(tmp_path, config=config, environment=environment) as gateway:
            process = psutil.Process(gateway.pid)
            before = sample(process)
            samples: list[Sample] = []
            crowd = Crowd(gateway, own_network, SEED)
            async with crowd:
                for _ in range(int(MINUTES * 60 / SAMPLE_SECONDS)):
                    await asyncio.sleep(SAMPLE_SECONDS)
                    crowd.check()
                    samples.append(sample(process))
                ours = await crowd.stats()

            await eventually(lambda: _empty(gateway), within=FORGOTTEN_SECONDS)
            await eventually(lambda: _let_go(process, before), within=FORGOTTEN_SECONDS)
            after = sample(process)
            metrics = await _metrics(gateway)
            _tell(crowd, samples, metrics)

            assert_balance(metrics)
            assert_balance_of(ours)
            assert_flat(samples, before, after)
            log = "\n".join(gateway.log)
            assert "Traceback" not in log, log[log.index("Traceback") - 500 :][:3000]
            assert " ERROR " not in log
            assert_they_saw_something(crowd)
            assert await gateway.terminate() == 0


def assert_balance(metrics: dict[str, float]) -> None:
    """Packets times viewers are what left when it came, and what was dropped for a reason."""
    forwarding = {
        name: metrics[f'live777_forwarding_total{{outcome="{name}"}}'] for name in ("offered", "forwarded", "replayed")
    }
    dropped = sum(value for name, value in metrics.items() if name.startswith("live777_dropped_packets_total"))
    assert forwarding["offered"] == forwarding["forwarded"] - forwarding["replayed"] + dropped
    assert forwarding["forwarded"] > 1000 * MINUTES
    # Of what left, all is SRTP packets; the rest of those is repairs and RTCP.
    repaired = metrics['live777_media_events_total{event="packet_retransmitted"}']
    assert metrics['live777_packets_total{direction="out"}'] > forwarding["forwarded"] + repaired
    assert metrics["live777_udp_send_errors_total"] == metrics["live777_relay_dropped_packets_total"] == 0


def assert_balance_of(stats: Stats) -> None:
    for worker in stats.workers:
        left = worker.packets_forwarded - worker.packets_replayed
        assert worker.packets_offered == left + sum(worker.packets_dropped.values())


def assert_flat(samples: Sequence[Sample], before: Sample, after: Sample) -> None:
    quarter = max(1, len(samples) // 4)
    early = statistics.median(one.rss for one in samples[quarter : 2 * quarter] or samples)
    late = statistics.median(one.rss for one in samples[-quarter:])
    assert late <= early * MEMORY_GROWTH, [one.rss // 1_000_000 for one in samples]
    assert after.descriptors <= before.descriptors
    assert {one.threads for one in samples[quarter:]} == {after.threads}


def assert_they_saw_something(crowd: Crowd) -> None:
    unexpected = {reason: count for reason, count in crowd.failures().items() if not reason.endswith(EXPECTED)}
    sessions = len(crowd.published) + len(crowd.viewed)
    # Whoever does not get through in 15 s: on a machine that is busy with something else there are some.
    assert sum(unexpected.values()) <= max(2, sessions // 20), unexpected
    watched = [one for one in crowd.viewed if one.frames]
    assert len(watched) >= len(crowd.viewed) // 2
    assert sum(one.repaired for one in watched) > 0
    # A third of the packets is sound, for which nobody asks again, and which is at risk twice.
    most = 2 * LOSS_PERCENT / 100 / 3
    assert sum(one.lost for one in watched) < 1.5 * most * sum(one.packets for one in watched)
    assert crowd.codec_changes >= int(MINUTES) - 1
    assert crowd.killed >= MINUTES / 2


async def _empty(gateway: Gateway) -> bool:
    streams: list[object] = await gateway.get("/api/streams/")
    return not streams


async def _let_go(process: psutil.Process, before: Sample) -> bool:
    return sample(process).descriptors <= before.descriptors


async def _metrics(gateway: Gateway) -> dict[str, float]:
    async with aiohttp.ClientSession() as client, client.get(f"{gateway.url}/metrics") as response:
        text = await response.text()
    return {name: float(value) for name, value in re.findall(r"^([^#\s]+) (\S+)$", text, re.MULTILINE)}


def _tell(crowd: Crowd, samples: Sequence[Sample], metrics: dict[str, float]) -> None:
    """Shown with -rP, or when something is wrong."""
    print(f"{len(crowd.published)} publishers, {len(crowd.viewed)} viewers, {crowd.codec_changes} changes of codec")
    print(f"{crowd.killed} times three viewers vanished; ended otherwise: {dict(crowd.failures())}")
    print(f"resident MB: {[one.rss // 1_000_000 for one in samples]}")
    print(f"descriptors: {[one.descriptors for one in samples]}")
    print(f"threads: {sorted({one.threads for one in samples})}")
    for name, value in metrics.items():
        if name.startswith(("live777_forwarding", "live777_dropped", "live777_packets", "live777_media_events")):
            print(f"{name} {value:.0f}")
