"""Configuration files: what they become, and errors that name file, key and what was expected."""

from pathlib import Path

import pytest

from fastos.supervise import Backoff, Check, Log, RestartLimit, Service
from fastos.supervise.config import _SERVICE, ConfigError, load, parse_procfile, parse_toml
from fastos.supervise.service import OPTIONS

FULL = b"""
[supervisor]
control = "/run/app/control"
groups = { workers = "one_for_all" }

[services.web]
command = ["python3", "-m", "http.server"]
requires = ["database"]
after = "cache"
readiness = "http://127.0.0.1:8000/"
health = { kind = "tcp", target = "127.0.0.1:8000", interval = 5 }
log = { path = "/var/log/web.log", max_bytes = 1000 }
backoff = { initial = 0.5, cap = 3 }
restart_limit = { count = 3, window = 60, then = "shutdown" }
success_codes = [0, 3, "SIGTERM"]
env = { PORT = "8000" }
restart_group = "workers"

[services.database]
command = "redis-server"
[services.cache]
command = "cache"
"""


def test_a_whole_file(tmp_path: Path) -> None:
    file = tmp_path / "services.toml"
    file.write_bytes(FULL)
    configuration = load(file)
    assert configuration.options == {"control": "/run/app/control", "groups": {"workers": "one_for_all"}}
    web = configuration.services[0]
    assert web == Service(
        "web",
        ["python3", "-m", "http.server"],
        requires="database",
        after="cache",
        readiness="http://127.0.0.1:8000/",
        health=Check("tcp", "127.0.0.1:8000", interval=5),
        log=Log("file", path="/var/log/web.log", max_bytes=1000),
        backoff=Backoff(0.5, cap=3),
        restart_limit=RestartLimit(3, 60, "shutdown"),
        success_codes=[0, 3, -15],
        env={"PORT": "8000"},
        restart_group="workers",
    )
    assert configuration.services[1].log == Log("own")


def test_every_option_can_be_configured() -> None:
    assert set(OPTIONS) | {"command"} == set(_SERVICE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"services = 3", "f.toml: services: Expected `object`, got `int`"),
        (b"[service.web]", "f.toml: service: unknown key; did you mean 'services'?"),
        (b"[services.web]", "f.toml: services.web.command: missing; expected a string or a list of strings"),
        (b"[services.web]\ncomand = 'x'", "f.toml: services.web.comand: unknown key; did you mean 'command'?"),
        (b"[services.web]\ncommand = 3", "f.toml: services.web.command: Expected `str | array`, got `int`"),
        (b"[services.web]\ncommand = ['a', 3]", "f.toml: services.web.command[1]: Expected `str`, got `int`"),
        (
            b"[services.web]\ncommand = 'x'\nrestart = 'sometimes'",
            "f.toml: services.web.restart: Invalid enum value 'sometimes'; expected one of always, on-failure, never",
        ),
        (
            b"[services.web]\ncommand = 'x'\nstop_timeout = 'long'",
            "f.toml: services.web.stop_timeout: Expected `int | float`",
        ),
        (b"[services.web]\ncommand = 'x'\nreadiness = 'soon'", "f.toml: services.web: readiness: expected 'none'"),
        (
            b"[services.web]\ncommand = 'x'\nlog = {pth = 'x'}",
            "f.toml: services.web.log.pth: unknown key; did you mean 'path'?",
        ),
        (
            b"[services.web]\ncommand = 'x'\nbackoff = {factor = 0.5}",
            "f.toml: services.web.backoff: backoff.factor must be 1",
        ),
        (b"[services.'a b']\ncommand = 'x'", "f.toml: services.a b: a name has letters"),
        (b"[supervisor]\ngroups = {g = 'all'}", "f.toml: supervisor.groups"),
        (b"x = [", "f.toml: not TOML: "),
        (b"\xff", "f.toml: not TOML: "),
    ],
)
def test_errors_name_file_key_and_expectation(text: bytes, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_toml(text, "f.toml")
    assert message in str(caught.value)


def test_dependencies_are_checked_with_the_file(tmp_path: Path) -> None:
    file = tmp_path / "services.toml"
    file.write_text("[services.a]\ncommand='x'\nafter='b'\n[services.b]\ncommand='x'\nafter='a'\n")
    with pytest.raises(ConfigError, match=r"services.toml: services wait for each other in a circle: a -> b -> a"):
        load(file)


def test_procfile(tmp_path: Path) -> None:
    file = tmp_path / "Procfile"
    file.write_text("# a comment\n\nweb: python3 -m http.server $PORT\nworker:  sleep 10 | cat\n")
    web, worker = load(file).services
    assert web == Service("web", "python3 -m http.server $PORT", log="own")
    assert worker.command == "sleep 10 | cat"
    for text, message in [
        ("web\n", "Procfile: line 1: expected NAME: COMMAND"),
        ("a: x\na: y\n", "Procfile: line 2: a second 'a'"),
        ("\nweb:\n", "Procfile: line 2: expected NAME: COMMAND"),
    ]:
        with pytest.raises(ConfigError, match=message):
            parse_procfile(text)
