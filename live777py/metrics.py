"""What Prometheus is told: the families, and the counters of this process. Who reads the media is elsewhere."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeHistogramMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from prometheus_client import Metric

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
LAG_INTERVAL: Final = 0.5
"""Seconds between two looks at the event loop."""

disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, kw_only=True)
class Gauge:
    """One value that may fall, by `label` values; an unlabelled one has the single key ""."""

    name: str
    text: str
    values: Mapping[str, float]
    label: str | None = None


@dataclass(frozen=True, kw_only=True)
class Total:
    """One value that never falls. `name` is without `_total`."""

    name: str
    text: str
    values: Mapping[str, float]
    label: str | None = None


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """How many of the present `values` are at most each of `bounds`, which ascend."""

    name: str
    text: str
    values: Sequence[float]
    bounds: Sequence[float]


Family = Gauge | Total | Distribution


class Metrics:
    """One registry per process; `render` is given the families that others read."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests: Counter[tuple[str, str]] = Counter()
        self._lag = Histogram(
            "live777_event_loop_lag_seconds",
            "How late the event loop runs what is due",
            buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2),
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)

    def count_request(self, method: str, status: int) -> None:
        known = method if method in {"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "PUT"} else "other"
        self._requests[known, str(status)] += 1

    @contextmanager
    def watch_event_loop(self) -> Iterator[None]:
        """Look every `LAG_INTERVAL` at how late the running loop is."""
        probe = _LagProbe(self._lag)
        try:
            yield
        finally:
            probe.stop()

    def render(self, families: Iterable[Family]) -> bytes:
        requests = CounterMetricFamily("live777_http_requests", "HTTP answers", labels=("method", "status"))
        for labels, value in sorted(self._requests.items()):
            requests.add_metric(labels, value)
        snapshot = CollectorRegistry()
        snapshot.register(_Snapshot([requests, *map(_family, families)]))
        return generate_latest(snapshot) + generate_latest(self._registry)


class _LagProbe:
    def __init__(self, lag: Histogram) -> None:
        self._lag = lag
        self._loop = asyncio.get_running_loop()
        self._timer = self._schedule()

    def stop(self) -> None:
        self._timer.cancel()

    def _schedule(self) -> asyncio.TimerHandle:
        due = self._loop.time() + LAG_INTERVAL
        return self._loop.call_at(due, self._look, due)

    def _look(self, due: float) -> None:
        self._lag.observe(max(0.0, self._loop.time() - due))
        self._timer = self._schedule()


class _Snapshot(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _family(family: Family) -> Metric:
    if isinstance(family, Distribution):
        return _distribution(family)
    labels = () if family.label is None else (family.label,)
    make = GaugeMetricFamily if isinstance(family, Gauge) else CounterMetricFamily
    metric: GaugeMetricFamily | CounterMetricFamily = make(family.name, family.text, labels=labels)
    for value in family.values:
        metric.add_metric(() if family.label is None else (value,), family.values[value])
    return metric


def _distribution(family: Distribution) -> Metric:
    counts = [(f"{bound:g}", sum(value <= bound for value in family.values)) for bound in family.bounds]
    buckets = [*counts, ("+Inf", len(family.values))]
    return GaugeHistogramMetricFamily(family.name, family.text, buckets=buckets, gsum_value=sum(family.values))
