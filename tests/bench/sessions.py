"""What a WHEP session costs the gateway: CPU and wall time from POST to connected, memory while it lives.

The gateway is a process of its own; its CPU time is read from the system, so the client's share is not in it. Viewers
come one after the other with Chromium's offer and go through ICE and DTLS. The publisher is connected and sends
nothing: forwarding is measured elsewhere.
"""

from __future__ import annotations

import re
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import aiohttp
import psutil

from tests.bench.target import Target
from tests.fakes.remote import CERTIFICATE, PASSWORD, UFRAG
from tests.gateway import running_gateway
from tests.light import LightPeer
from tests.rtc.offers import recorded

WARM_UP: Final = 50
SESSIONS: Final = 500
CPU_LIMIT_MS: Final = 4.0
MEMORY_LIMIT_KB: Final = 150.0


@dataclass(frozen=True, kw_only=True)
class Result:
    sessions: int
    cpu_ms: float
    wall_ms: float
    """Median."""
    memory_kb: float

    @property
    def targets(self) -> tuple[Target, ...]:
        return (
            Target(name="WHEP set-up, CPU", value=self.cpu_ms, limit=CPU_LIMIT_MS, unit="ms"),
            Target(name="memory of a viewer", value=self.memory_kb, limit=MEMORY_LIMIT_KB, unit="kB"),
        )

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    def as_table(self) -> str:
        return (
            f"{self.sessions} sessions: {self.cpu_ms:.2f} ms CPU and {self.wall_ms:.2f} ms wall time from POST to "
            f"connected, {self.memory_kb:.0f} kB each"
        )


def browser_offer(name: str) -> str:
    """A browser's, with our ICE and DTLS credentials."""
    values = {"ice-ufrag": UFRAG, "ice-pwd": PASSWORD, "fingerprint": " ".join(CERTIFICATE.fingerprint)}
    return re.sub(
        r"^a=(ice-ufrag|ice-pwd|fingerprint):.*?(\r?)$",
        lambda line: f"a={line[1]}:{values[line[1]]}{line[2]}",
        recorded(name),
        flags=re.MULTILINE,
    )


async def connect(client: aiohttp.ClientSession, url: str, offer: str) -> tuple[LightPeer, float]:
    """With the seconds from POST to connected."""
    peer = LightPeer()
    began = time.perf_counter()
    async with client.post(url, data=offer, headers={"Content-Type": "application/sdp"}) as response:
        response.raise_for_status()
        answer = await response.text()
    await peer.connect(answer)
    return peer, time.perf_counter() - began


async def measure() -> Result:
    """Takes some ten seconds."""
    with tempfile.TemporaryDirectory() as directory:
        async with running_gateway(Path(directory)) as gateway, aiohttp.ClientSession() as client:
            process = psutil.Process(gateway.pid)
            peers = [(await connect(client, f"{gateway.url}/whip/bench", browser_offer("chromium-156-whip.sdp")))[0]]
            url, offer = f"{gateway.url}/whep/bench", browser_offer("chromium-recvonly.sdp")
            peers += [(await connect(client, url, offer))[0] for _ in range(WARM_UP)]

            memory, cpu = process.memory_info().rss, process.cpu_times()
            walls = []
            for _ in range(SESSIONS):
                peer, wall = await connect(client, url, offer)
                peers.append(peer)
                walls.append(wall)
            used = process.cpu_times()
            result = Result(
                sessions=SESSIONS,
                cpu_ms=(used.user + used.system - cpu.user - cpu.system) * 1000 / SESSIONS,
                wall_ms=statistics.median(walls) * 1000,
                memory_kb=(process.memory_info().rss - memory) / SESSIONS / 1000,
            )
            for peer in peers:
                peer.close()
            return result
