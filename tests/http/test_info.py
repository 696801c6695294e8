"""Info, strategy, metrics."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import live777py
from live777py.http.build import read_build
from live777py.streams.strategy import Strategy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.http.doors import OpenDoor


async def test_info(open_door: OpenDoor, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!doctype html>")
    door = await open_door(pages=tmp_path)
    info = await (await door.ask("GET", "/api/info")).json()
    assert set(info) == {"version", "gitHash", "buildTime", "features"}
    assert info["version"].startswith(f"v{live777py.__version__}")
    assert info["gitHash"] in info["version"]
    assert info["features"] == ["webui", "cascade", "recorder", "source", "source-whep"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", info["buildTime"])
    assert await (await (await open_door()).ask("GET", "/api/info")).json() == {
        **info,
        "features": info["features"][1:],
    }


def test_the_commit_is_a_prefix_of_head() -> None:
    assert re.fullmatch(r"[0-9a-f]{7}|", read_build().git_hash)


async def test_strategy_is_the_global_one_in_snake_case(open_door: OpenDoor) -> None:
    door = await open_door()
    door.streams.global_strategy = Strategy(auto_delete_whip=60000)
    assert await (await door.ask("GET", "/api/strategy/")).json() == {
        "each_stream_max_sub": 65535,
        "cascade_push_close_sub": False,
        "auto_create_whip": True,
        "auto_create_whep": True,
        "auto_delete_whip": 60000,
        "auto_delete_whep": -1,
    }


async def test_metrics(open_door: OpenDoor) -> None:
    door = await open_door()
    await door.publish()
    await door.play()
    await door.play("other")
    await door.ask("GET", "/nothing")
    response = await door.ask("GET", "/metrics")
    assert response.headers["Content-Type"].startswith("text/plain")
    lines = (await response.text()).splitlines()
    for line in (
        "live777_stream 2.0",
        "live777_publish 1.0",
        "live777_subscribe 2.0",
        "live777_reforward 0.0",
        'live777_rtp_bytes_total{direction="in"} 1200.0',
        'live777_rtp_bytes_total{direction="out"} 2400.0',
        'live777_sessions{state="connected"} 3.0',
        'live777_sessions{state="failed"} 0.0',
        'live777_http_requests_total{method="POST",status="201"} 3.0',
        'live777_http_requests_total{method="GET",status="404"} 1.0',
    ):
        assert line in lines
    assert any(line.startswith("process_open_fds ") for line in lines)
    assert any(line.startswith("live777_event_loop_lag_seconds_count") for line in lines)
