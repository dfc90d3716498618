"""Prometheus metrics by prometheus_client, over HTTP on a Unix socket or a loopback port.

Nothing is counted for them but the restart latency: a scrape reads what the supervisor knows anyway.
"""

import contextlib
import ipaddress
import os
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastos.supervise.check import parse_address
from fastos.supervise.connections import Connection, Listener, listen_unix
from fastos.supervise.latency import BOUNDS
from fastos.supervise.listeners import listen
from fastos.supervise.loop import Loop
from fastos.supervise.states import State

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from fastos.supervise.supervisor import Supervisor

_REQUEST_LIMIT = 16 << 10


class Collector:
    """The supervisor as prometheus_client sees it. Register it with a registry of your own to serve it yourself."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self._supervisor = supervisor

    def describe(self) -> list["Metric"]:
        """Nothing is read for the registration."""
        return []

    def collect(self) -> Iterator["Metric"]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        label = ["service"]
        state = GaugeMetricFamily(
            "fastos_service_state", "1 for the state that the service is in.", labels=["service", "state"]
        )
        up = GaugeMetricFamily("fastos_service_ready", "1 if the service is ready.", labels=label)
        restarts = CounterMetricFamily("fastos_service_restarts", "Restarts that nobody asked for.", labels=label)
        uptime = GaugeMetricFamily(
            "fastos_service_uptime_seconds", "Seconds since the process was started.", labels=label
        )
        code = GaugeMetricFamily(
            "fastos_service_exit_code", "Exit code of the last end; minus the signal that caused it.", labels=label
        )
        cpu = CounterMetricFamily(
            "fastos_service_cpu_seconds", "CPU time of ended processes.", labels=["service", "mode"]
        )
        memory = GaugeMetricFamily(
            "fastos_service_max_rss_bytes", "Largest resident set of ended processes.", labels=label
        )
        for name, status in self._supervisor.status().items():
            state.add_metric([name, status.state], 1)
            up.add_metric([name], float(status.ready))
            restarts.add_metric([name], status.restarts)
            uptime.add_metric([name], status.uptime)
            if status.exit_code is not None or status.exit_signal is not None:
                code.add_metric([name], -status.exit_signal if status.exit_signal else status.exit_code or 0)
            cpu.add_metric([name, "user"], status.cpu_user)
            cpu.add_metric([name, "system"], status.cpu_system)
            memory.add_metric([name], status.max_rss * 1024)
        yield from (state, up, restarts, uptime, code, cpu, memory)
        services = GaugeMetricFamily("fastos_services", "Services by state.", labels=["state"])
        for known in State:
            services.add_metric([known.name.lower()], self._supervisor.count(known))
        yield services
        latency, total, buckets = self._supervisor.latency, 0, []
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), latency.counts, strict=True):
            total += count
            buckets.append((bound, total))
        histogram = HistogramMetricFamily("fastos_restart_latency_seconds", "From the end of a child to the next exec.")
        histogram.add_metric([], buckets, latency.total)
        yield histogram


class MetricsClient:
    """One scrape: any GET is answered with the metrics, and the connection closed."""

    __slots__ = ("_answer", "_connection", "_request")

    def __init__(self, server: "MetricsServer", connection: Connection) -> None:
        self._connection = connection
        self._request = b""
        self._answer = server.answer

    def received(self, data: bytes) -> None:
        self._request += data
        if b"\r\n\r\n" in self._request or b"\n\n" in self._request:
            good = self._request.startswith((b"GET ", b"HEAD "))
            body = self._answer() if good else b"only GET\n"
            status = b"200 OK" if good else b"405 Method Not Allowed"
            head = b"HTTP/1.0 %b\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: %d\r\n\r\n"
            self._connection.send(head % (status, len(body)) + (b"" if self._request.startswith(b"HEAD ") else body))
            self._connection.close_when_sent()
        elif len(self._request) > _REQUEST_LIMIT:
            self._connection.close()

    def gone(self) -> None: ...


class MetricsServer:
    """Serves on a path (mode 0600) or on HOST:PORT, which must be a loopback address. Needs fastos[metrics]."""

    def __init__(self, supervisor: "Supervisor", loop: Loop, address: str) -> None:
        from prometheus_client import CollectorRegistry

        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(Collector(supervisor))
        self._path = address if "/" in address else None
        self._listener = Listener(
            loop, _listen(address), lambda link: MetricsClient(self, link), owner_only="/" in address
        )

    def answer(self) -> bytes:
        from prometheus_client import generate_latest

        return generate_latest(self._registry)

    def close(self) -> None:
        self._listener.close()
        if self._path is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._path)


def _listen(address: str) -> socket.socket:
    if "/" in address:
        return listen_unix(address)
    host, _ = parse_address(address)
    if not ipaddress.ip_address(host).is_loopback:
        raise ValueError(f"metrics are served on a path or a loopback address, not on {host}")
    return listen(address)
