"""A node that is in no cluster."""

from __future__ import annotations

import subprocess
import sys

ALONE = """
import asyncio, sys
from aiohttp import web
from live777py.app import build_app
from live777py.config import parse

async def main():
    config = '[webrtc]\\nice_udp_addrs = ["127.0.0.1:0"]\\n[livekit]\\ndev = true\\n'
    config += f'[store]\\npath = "{sys.argv[1]}/store.db"'
    runner = web.AppRunner(build_app(parse(config, {})))
    await runner.setup()
    print(*sorted(task.get_name() for task in asyncio.all_tasks()), sep="\\n")
    await runner.cleanup()

asyncio.run(main())
parts = ("redis", "live777py.cluster", "live777py.store")
print(*sorted(name for name in sys.modules if name.startswith(parts)), sep="\\n")
"""


def test_it_loads_no_redis_and_runs_nothing_for_others(tmp_path: object) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ALONE, str(tmp_path)], capture_output=True, text=True, check=True
    )
    lines = run.stdout.split("\n")
    assert "live777py.store.sqlite_kv" in lines
    assert not [line for line in lines if line.startswith("redis")]
    assert not [line for line in lines if line.startswith("live777py.store.redis")]
    assert [line for line in lines if line.startswith("live777py.cluster")] == [
        "live777py.cluster",
        "live777py.cluster.membership",
        "live777py.cluster.settings",
    ]
    assert not [line for line in lines if "cluster" in line and not line.startswith("live777py.")]
