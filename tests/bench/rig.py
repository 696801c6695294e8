"""An engine of one worker whose transports get their keys by hand after a real STUN check, and `live777-bench`."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from live777py.media import native
from tests.media.peer import Console, Peer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from live777py._media import SrtpProfile, WorkerStats  # noqa: TID251

GCM: Final[SrtpProfile] = "AEAD_AES_128_GCM"
CM80: Final[SrtpProfile] = "AES128_CM_HMAC_SHA1_80"
VIDEO: Final = native.CodecParameters(payload_type=96, name="VP8", clock_rate=90000, nack=True, pli=True)
PUBLISHED_SSRC: Final = 0x7770_0001
"""That `live777-bench` sends."""

TIME_LIMIT: Final = 20.0
ROOT: Final = Path(__file__).parents[2]


class Rig:
    """Closes its peers with itself."""

    def __init__(self, profile: SrtpProfile) -> None:
        self.profile = profile
        self._console = Console()
        self._peers: list[Peer] = []

    def publisher(self) -> tuple[Peer, int]:
        """With the number of its video track."""
        peer = self._peer()
        parameters = native.TrackParameters(
            kind="video",
            mid="0",
            codecs=[VIDEO],
            encodings=[native.EncodingParameters(ssrc=PUBLISHED_SSRC)],
            local_ssrc=1,
        )
        return peer, peer.add_track(parameters)

    def viewer(self, track: int) -> Peer:
        peer = self._peer()
        self.attach(peer, track)
        return peer

    def sink(self, track: int) -> None:
        """A viewer whose socket drops everything."""
        self.viewer(track).socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)

    def attach(self, peer: Peer, track: int) -> None:
        parameters = native.SubscriptionParameters(kind="video", mid="0", ssrc=1000, cname="bench", codecs=[VIDEO])
        subscription = peer.subscribe(parameters)
        self._console.call(self._console.engine.attach, subscription, track, payload_types=[(96, 96)])

    def keep_alive(self) -> None:
        """The engine stops sending to a peer whose consent has not been heard of for 30 s (RFC 7675)."""
        for peer in self._peers:
            peer.socket.sendto(bytes(peer.check()), peer.server)

    def worker(self) -> WorkerStats:
        return self._console.stats().workers[0]

    def close(self) -> None:
        self._console.engine.close()
        for peer in self._peers:
            peer.close()

    def _peer(self) -> Peer:
        peer = Peer(self._console, profile=self.profile)
        self._peers.append(peer)
        peer.connect()
        return peer


def run_program(
    *arguments: object, stdin: int | None = None, descriptors: Sequence[int] = (), time_limit: float = TIME_LIMIT
) -> str:
    """What `live777-bench` prints; it is built by `cargo build --release -p live777-bench`."""
    program = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "rust" / "target")) / "release" / "live777-bench"
    finished = subprocess.run(
        [program, *map(str, arguments)],
        stdin=stdin,
        pass_fds=descriptors,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=time_limit,
    )
    return finished.stdout


def allow_descriptors(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))
