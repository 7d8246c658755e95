"""Metrics in the Prometheus text form, over all web processes of a service when they share a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from api.worker_state import WorkerState
from hsm.keyd.state import KeyState

# prometheus_client reads it when it is imported: the supervisor sets it for the processes it starts.
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
STATES = ("ok", "degraded", "away")
BREAKERS = ("closed", "open", "half-open", "pin")
_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """What is counted. Built once a process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "antin_http_requests", "Requests answered", ("method", "route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "antin_http_request_seconds",
            "Time to the end of an answer",
            ("route",),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._open = Gauge(
            "antin_http_requests_open", "Requests being answered", registry=self._registry, multiprocess_mode="livesum"
        )
        self._verdicts = Counter("antin_verdicts", "Files judged", ("conclusion",), registry=self._registry)
        self._signed = Counter("antin_documents_signed", "Documents signed", ("level",), registry=self._registry)

        self._timestamps = Counter(
            "antin_timestamps_asked",
            "Requests to outside time-stamping authorities",
            ("server", "outcome"),
            registry=self._registry,
        )

    def begin_request(self) -> None:
        self._open.inc()

    def end_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """`route` is a template, never a path: paths hold codes and serials, and are without number."""
        self._open.dec()
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def count_verdict(self, conclusion: str) -> None:
        self._verdicts.labels(conclusion).inc()

    def count_signed(self, level: str) -> None:
        self._signed.labels(level).inc()

    def count_timestamp(self, server: str, outcome: str) -> None:
        """`server` stands in the settings, so there are few; `outcome` is `granted` or a code."""
        self._timestamps.labels(server, outcome).inc()

    def text(self, hsm: KeyState | None = None, worker: WorkerState | None = None) -> tuple[bytes, str]:
        """All counts, with those of the key process and the worker as they told them (None: silent), and their media type."""
        registry = self._registry
        if SHARED_FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # prometheus_client leaves it without types
        keys = CollectorRegistry()
        keys.register(_KeyProcess(hsm))
        keys.register(_Worker(worker))
        return generate_latest(registry) + generate_latest(keys), CONTENT_TYPE_LATEST


class _KeyProcess(Collector):
    """What the key process counts itself: it is one for all web processes, so nothing is added up."""

    def __init__(self, told: KeyState | None) -> None:
        self._told = told

    def collect(self) -> Iterator[Metric]:
        told = self._told
        state, breaker = (told.state, told.breaker) if told is not None else ("away", "open")
        yield _one_of("antin_hsm_state", "How the token is doing", "state", state, STATES)
        yield _one_of("antin_hsm_breaker", "Whether requests reach the token", "breaker", breaker, BREAKERS)
        events = CounterMetricFamily(
            "antin_hsm_events", "What happened to the token and was done about it", labels=["event"]
        )
        for event, count in sorted(told.counts.items() if told is not None else ()):
            events.add_metric([event], count)
        yield events
        if told is not None:
            yield GaugeMetricFamily("antin_hsm_sessions_open", "Sessions with the token", told.sessions.open)
            if told.sessions.limit is not None:
                yield GaugeMetricFamily(
                    "antin_hsm_sessions_limit", "Sessions that the token allows", told.sessions.limit
                )


class _Worker(Collector):
    """What the worker says of its jobs. A silent one is 0, and has no jobs."""

    def __init__(self, told: WorkerState | None) -> None:
        self._told = told

    def collect(self) -> Iterator[Metric]:
        jobs = self._told.jobs if self._told is not None else {}
        yield GaugeMetricFamily("antin_worker_up", "Whether the worker answers", float(self._told is not None))
        failing = GaugeMetricFamily("antin_worker_job_failing", "Whether a job failed last time", labels=["job"])
        runs = CounterMetricFamily("antin_worker_job_runs", "How often a job had something to do", labels=["job"])
        failures = CounterMetricFamily("antin_worker_job_failures", "How often a job failed", labels=["job"])
        for name, job in sorted(jobs.items()):
            failing.add_metric([name], float(job.state != "ok"))
            runs.add_metric([name], job.runs)
            failures.add_metric([name], job.failures)
        yield failing
        yield runs
        yield failures


def _one_of(name: str, what: str, label: str, present: str, values: Sequence[str]) -> Metric:
    """A row for each value, 1 for the present one: a query that waits for one finds it from the start."""
    family = GaugeMetricFamily(name, what, labels=[label])
    for value in values:
        family.add_metric([value], float(value == present))
    return family


def forget_process(folder: Path, pid: int) -> None:
    """A web process died: what it counted stays, what it was just doing does not."""
    mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]  # prometheus_client leaves it without types
