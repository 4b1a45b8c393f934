"""HTTP listener for metrics, in a separate thread and event loop so that no call waits.

All requests within a second get the same text, so a hundred scrapers use little more processor time than one. The
number and duration of connections are limited so that they cannot exhaust the file descriptors that evidence needs.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from idtone.core.duration_histogram import Durations

from .instance_parts import InstanceParts
from .metrics import METRICS, Metric, MetricKind

log = logging.getLogger(__name__)

PATH: Final = "/metrics"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""The media type of Prometheus's text format, which all scrapers read."""
FRESH_S: Final = 1.0
"""How long a text is reused for more requests, in seconds."""
MOST_CONNECTIONS: Final = 32
"""Maximum number of connections. Additional ones are closed. The same number may wait in the kernel."""
CONNECTION_S: Final = 30.0
"""Maximum duration of a connection in seconds. After that, a scraper makes a new connection, and a slow reader is cut
off.
"""
RETRY_S: Final = 5.0
"""Pause in seconds between attempts to listen while another program is using the address."""
CLOSE_WITHIN_S: Final = 2.0
"""How long `close` waits, in seconds. A hung disk may hold up the thread."""

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
_FAMILIES: Final[Mapping[MetricKind, type[Family]]] = {
    MetricKind.COUNTER: CounterMetricFamily,
    MetricKind.GAUGE: GaugeMetricFamily,
    MetricKind.HISTOGRAM: HistogramMetricFamily,
}


class MetricsCollector(Collector):
    """Converts the metrics table for prometheus-client."""

    def __init__(self, parts: InstanceParts) -> None:
        self._observed = parts

    def collect(self) -> Iterator[Family]:
        for metric in METRICS:
            values = metric.read(self._observed)
            yield family(metric, values if isinstance(values, Mapping) else {} if values is None else {(): values})


def family(metric: Metric, values: Mapping[tuple[str, ...], Any]) -> Family:
    made = _FAMILIES[metric.kind](metric.name, metric.meaning, labels=metric.labels)
    for labels, value in values.items():
        if isinstance(made, HistogramMetricFamily):
            made.add_metric(labels, *_buckets(value))
        else:
            made.add_metric(labels, value)
    return made


def _buckets(durations: Durations) -> tuple[list[tuple[str, float]], float]:
    counts, total_s = durations.counted()
    bounds = [*map(floatToGoString, durations.bounds_s), "+Inf"]
    return list(zip(bounds, counts, strict=True)), total_s


class _Refused(asyncio.Protocol):
    """A connection beyond the limit, which is closed immediately."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


class MetricsListener:
    """HTTP listener for metrics. While the address is in use, the listener retries."""

    def __init__(self, address: tuple[str, int], parts: InstanceParts) -> None:
        self._address = address
        self._registry = CollectorRegistry()
        self._registry.register(MetricsCollector(parts))
        ProcessCollector(registry=self._registry)
        self._text = b""
        self._made_s = -FRESH_S
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="idtone-metrics", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stop and free the address. Call it from another thread. It may be called repeatedly."""
        if self._thread.is_alive():
            with suppress(RuntimeError):  # the loop has just been closed
                self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join(CLOSE_WITHIN_S)

    # -- the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        with self._runner() as runner:
            runner.run(self._serve())

    def _runner(self) -> asyncio.Runner:
        return asyncio.Runner(loop_factory=lambda: self._loop)

    async def _serve(self) -> None:
        server = web.Server(self._answer, access_log=None)
        listening = await self._listening(server)
        if listening:
            log.info("metrics are at http://%s:%d%s", *self._address, PATH)
            await self._over.wait()
            listening.close()
            while others := asyncio.all_tasks() - {asyncio.current_task()}:
                for connection in server.connections:
                    _cut(connection)
                await asyncio.wait(others, timeout=0.01)

    async def _listening(self, server: web.Server) -> asyncio.Server | None:
        """Listen as soon as the address is free; None if `close` is called first."""

        def accepted() -> asyncio.BaseProtocol:
            if len(server.connections) >= MOST_CONNECTIONS:
                return _Refused()
            connection = server()
            self._loop.call_later(CONNECTION_S, _cut, connection)
            return connection

        logged = False
        while not self._over.is_set():
            try:
                return await self._loop.create_server(accepted, *self._address, backlog=MOST_CONNECTIONS)
            except OSError as error:
                if not logged:
                    logged = True
                    log.error("metrics.listen cannot be used, and is tried again: %s; free it, or name another", error)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), RETRY_S)
        return None

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        if request.path != PATH:
            return web.Response(status=HTTPStatus.NOT_FOUND, text=f"The metrics are at {PATH}\n")
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "GET, HEAD"})
        now_s = time.monotonic()
        if now_s - self._made_s >= FRESH_S:
            self._text, self._made_s = generate_latest(self._registry), now_s
        return web.Response(body=self._text, headers={"Content-Type": CONTENT_TYPE})


def _cut(connection: Any) -> None:
    """End a connection, even if its peer does not read."""
    if connection.transport is not None:
        connection.transport.abort()
