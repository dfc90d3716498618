"""A web server with its worker and a database, started in order, each checked ready, and stopped in reverse.

Needs python3; the database is redis-server where there is one, otherwise a stand-in that listens as it would.
"""

import shutil
import socket
import sys
import tempfile
from pathlib import Path

from fastos.supervise import Check, Service, ServiceEvent, Supervisor

STAND_IN = (
    "import socket,sys\ns=socket.create_server(('127.0.0.1', int(sys.argv[1])))\nwhile True: s.accept()[0].close()"
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def database_command(port: int) -> list[str]:
    if shutil.which("redis-server"):
        return ["redis-server", "--port", str(port), "--save", "", "--bind", "127.0.0.1"]
    return [sys.executable, "-c", STAND_IN, str(port)]


def services(directory: Path) -> list[Service]:
    redis, web = free_port(), free_port()
    worker = f"import socket,time; socket.create_connection(('127.0.0.1', {redis})); time.sleep(1000)"
    log = str(directory / "{name}.log")
    return [
        Service(
            "database", database_command(redis), readiness=Check("tcp", f"127.0.0.1:{redis}", interval=0.05), log=log
        ),
        Service("worker", [sys.executable, "-c", worker], requires="database", log=log),
        Service(
            "web",
            [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(web)],
            requires=["database", "worker"],
            readiness=Check("http", f"http://127.0.0.1:{web}/", interval=0.05),
            cwd=str(directory),
            log=log,
        ),
    ]


def main() -> None:
    order: list[str] = []

    def on_event(event: ServiceEvent) -> None:
        if event.state in ("running", "stopped"):
            order.append(f"{event.name} {event.state}")
        if event.name == "web" and event.state == "running":
            supervisor.shutdown()

    with tempfile.TemporaryDirectory() as directory:
        with Supervisor(services(Path(directory)), on_event=on_event) as supervisor:
            assert supervisor.run() == 0
        assert "GET / HTTP/1.0" in Path(directory, "web.log").read_text()
    print("\n".join(order))
    assert order[:3] == ["database running", "worker running", "web running"]
    assert order[3:] == ["web stopped", "worker stopped", "database stopped"]


if __name__ == "__main__":
    main()
