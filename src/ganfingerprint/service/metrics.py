"""What the service counts, as Prometheus reads it; each service has a registry of its own."""

from __future__ import annotations

from collections.abc import Callable

from ganfingerprint.errors import MissingExtraError

try:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
except ModuleNotFoundError as absent:
    raise MissingExtraError("prometheus-client", "serve", "a service") from absent

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """Counters of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        names = ("route", "status")
        self.requests = Counter("ganfingerprint_requests", "Requests answered.", names, registry=self.registry)
        self.seconds = Histogram(
            "ganfingerprint_request_seconds", "Time to answer.", ("route",), buckets=_SECONDS, registry=self.registry
        )
        self.verdicts = Counter("ganfingerprint_pictures", "Pictures by answer.", ("answer",), registry=self.registry)

    def watch(self, name: str, about: str, value: Callable[[], float]) -> None:
        """A number that is asked for when somebody reads the metrics."""
        Gauge(f"ganfingerprint_{name}", about, registry=self.registry).set_function(value)

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self.requests.labels(route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)
