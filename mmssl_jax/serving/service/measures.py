"""What the service counts, for Prometheus; the only user of its client."""

import time
from collections.abc import Iterator

import prometheus_client as prometheus
from prometheus_client.core import GaugeMetricFamily, Metric

from mmssl_jax.serving.service.live import Live

CONTENT_TYPE = prometheus.CONTENT_TYPE_LATEST


class Measures:
    """Counters of one service."""

    def __init__(self, live: Live):
        self._registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=self._registry)
        prometheus.PlatformCollector(registry=self._registry)
        self._requests = prometheus.Counter(
            "mmssl_requests",
            "Requests by path and status.",
            ("path", "status"),
            registry=self._registry,
        )
        self._seconds = prometheus.Histogram(
            "mmssl_request_seconds",
            "Time from the head of a request to the end of its answer.",
            ("path",),
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
            registry=self._registry,
        )
        self._batches = prometheus.Histogram(
            "mmssl_batch_queries",
            "Lists that were made together.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self._registry,
        )
        self._registry.register(_OfLive(live))

    def request(self, path: str, status: int, seconds: float) -> None:
        """Counts a request; `path` is one of a few."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def batch(self, size: int) -> None:
        """Counts lists that are made together."""
        self._batches.observe(size)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return bytes(prometheus.generate_latest(self._registry))


class _OfLive(prometheus.registry.Collector):
    """What is asked of the engine when somebody looks."""

    def __init__(self, live: Live):
        self._live = live

    def collect(self) -> Iterator[Metric]:
        live, engine = self._live, self._live.engine
        gauges = {
            "mmssl_epoch": ("Epoch of the checkpoint that is served.", engine.trained.epoch),
            "mmssl_checkpoint_age_seconds": (
                "Time since it was taken up.",
                time.time() - live.loaded_at,
            ),
            "mmssl_swaps": ("Checkpoints that replaced another.", live.swaps),
            "mmssl_swap_failures": ("Looks at the folder that failed.", live.failures),
            "mmssl_users": ("Users of the data.", len(engine.catalogue.user_ids)),
            "mmssl_items": ("Items of the data.", len(engine.catalogue.item_ids)),
        }
        for name, (about, value) in gauges.items():
            yield GaugeMetricFamily(name, about, value=value)
