from __future__ import annotations

import asyncio

from live777py.metrics import Gauge, Metrics, Total


def test_families_are_prometheus_text() -> None:
    text = Metrics().render(
        [
            Gauge(name="a", text="A", values={"": 1}),
            Total(name="b", text="B", label="kind", values={'x"\n': 2, "y": 3}),
        ]
    )
    lines = text.decode().splitlines()
    assert "# TYPE a gauge" in lines
    assert "a 1.0" in lines
    assert "# TYPE b_total counter" in lines
    assert 'b_total{kind="x\\"\\n"} 2.0' in lines
    assert not any("_created" in line for line in lines)


def test_unknown_methods_share_a_label() -> None:
    metrics = Metrics()
    for method in ("GET", "FROB", "NICATE"):
        metrics.count_request(method, 200)
    text = metrics.render([]).decode()
    assert 'live777_http_requests_total{method="other",status="200"} 2.0' in text


async def test_a_late_event_loop_is_seen() -> None:
    metrics = Metrics()
    loop = asyncio.get_running_loop()
    with metrics.watch_event_loop():
        (timer,) = [handle for handle in loop._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]
        callback, arguments = timer._callback, timer._args
        callback(*(due - 1 for due in arguments))
    text = metrics.render([]).decode()
    assert "live777_event_loop_lag_seconds_count 1.0" in text
    assert 'live777_event_loop_lag_seconds_bucket{le="0.1"} 0.0' in text
