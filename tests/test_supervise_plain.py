"""Services as plain data, policies, the dependency graph, timers, notifications: nothing that needs a process."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastos
from fastos.supervise import Backoff, Check, DependencyError, Log, RestartLimit, Service, Supervisor
from fastos.supervise.check import parse_address
from fastos.supervise.graph import find_cycle, start_order
from fastos.supervise.latency import BOUNDS, Latency
from fastos.supervise.notify import parse
from fastos.supervise.policy import History, verdict
from fastos.supervise.reload import compare
from fastos.supervise.service import OPTIONS
from fastos.supervise.states import Event
from fastos.supervise.timers import Timers


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"restart": "sometimes"}, "restart: expected one of always, on-failure, never"),
        ({"stop_signal": "SIGNOPE"}, "stop_signal: unknown signal 'SIGNOPE'"),
        ({"instances": 0}, "instances: expected a whole number above 0"),
        ({"after": "x"}, "it cannot come after itself"),
        ({"readiness": "magic"}, "readiness: expected 'none', 'notify'"),
        ({"readiness": "tcp:example.org:80"}, "expected an IP address or localhost"),
        ({"readiness": "exit"}, "excludes restart 'always'"),
        ({"health": "fd:3"}, "'fd' is no health check"),
        ({"watchdog": -1}, "watchdog: the time must be 0 or more"),
        ({"stop_timeout": float("nan")}, "stop_timeout: the time must be"),
        ({"backoff": -1}, "backoff.initial must be 0 or more"),
        ({"restart_limit": (1, 0)}, "restart_limit.window must be above 0"),
        ({"success_codes": [300]}, "exit codes"),
        ({"instances": 2, "log": "/tmp/x.log"}, "needs {name} in its path"),
        ({"instances": 2, "sockets": "127.0.0.1:80"}, "several instances"),
        ({"env": {"A=B": "c"}}, "is no variable"),
        ({"log": "nowhere"}, "log.to must be"),
        ({"rlimits": {"files": 3}}, "rlimits: unknown resource 'files'"),
        ({"rlimits": {"nofile": "many"}}, "rlimits: nofile: expected a number or (soft, hard)"),
        ({"autostart": 1}, "expected true or false"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, object], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match="service 'x': ") as caught:
        Service("x", ["true"], **options)
    assert message in str(caught.value)


def test_unknown_option_and_bad_names() -> None:
    with pytest.raises(TypeError, match="unknown option restrat"):
        Service("x", ["true"], restrat="always")
    for name in ("", "a b", "-x", "../x", "x\n", 3):
        with pytest.raises(ValueError, match="a name has letters"):
            Service(name, ["true"])  # type: ignore[arg-type]
    for command in ("", [], " ", ["a\0b"], b"x", [1]):
        with pytest.raises((TypeError, ValueError)):
            Service("x", command)  # type: ignore[arg-type]


def test_services_are_plain_data() -> None:
    one = Service("x", ["a", "b"], after="y", success_codes=[0, "TERM"], readiness="fd:5", env={"A": "1"})
    assert one == Service(
        "x", ("a", "b"), after=("y",), success_codes={0, -15}, readiness=Check("fd", fd=5, interval=0.2), env={"A": "1"}
    )
    assert one != Service("x", ["a"])
    assert fastos.Service is Service
    assert fastos.Supervisor is Supervisor
    with pytest.raises(AttributeError):
        one.name = "y"  # type: ignore[misc]
    assert set(OPTIONS) <= set(dir(one))


def test_short_forms() -> None:
    service = Service("x", "echo", log="/var/log/{name}.log", restart_limit=(3, 10), stop_signal="INT", backoff=2)
    assert service.log == Log("file", path="/var/log/{name}.log")
    assert service.restart_limit == RestartLimit(3, 10)
    assert service.stop_signal == 2
    assert service.backoff == Backoff(2)
    check = Service("x", "echo", readiness="http://127.0.0.1:8000/health?x=1").readiness
    assert (check.address, check.path) == (("127.0.0.1", 8000), "/health?x=1")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("80", ("127.0.0.1", 80)),
        ("localhost:1", ("127.0.0.1", 1)),
        ("[::1]:99", ("::1", 99)),
        ("10.0.0.1:5", ("10.0.0.1", 5)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "x", "1.2.3.4", ":0", "h:65536", "a b:1"])
def test_bad_addresses(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_address(text)


def test_backoff_grows_to_its_cap_and_spreads() -> None:
    backoff = Backoff(initial=1, factor=2, cap=10, jitter=0)
    assert [backoff.delay(n) for n in range(6)] == [1, 2, 4, 8, 10, 10]
    spread = Backoff(initial=1, jitter=0.5)
    assert spread.delay(0, lambda: 0.0) == 0.5
    assert spread.delay(0, lambda: 0.999) < 1.5
    assert Backoff(initial=0).delay(1000) == 0


@given(
    st.integers(0, 10**9),
    st.floats(0.01, 100),
    st.floats(1, 1e6),
    st.floats(0, 1e4),
    st.floats(0, 1),
    st.floats(0, 0.999),
)
def test_delay_is_always_within_bounds(
    attempt: int, initial: float, factor: float, cap: float, jitter: float, chance: float
) -> None:
    assert 0 <= Backoff(initial, factor, cap, jitter).delay(attempt, lambda: chance) <= cap


def test_limit_looks_at_its_window_only() -> None:
    history, limit = History(), RestartLimit(2, 10)
    assert [history.exceeds(limit, second * 10**9) for second in (0, 1, 20, 21, 22)] == [
        False,
        False,
        False,
        False,
        True,
    ]
    assert History().exceeds(RestartLimit(0, 1), 0)


@pytest.mark.parametrize(
    ("restart", "success", "event"),
    [
        ("always", True, Event.DIED_RETRY),
        ("always", False, Event.DIED_RETRY),
        ("on-failure", True, Event.DIED_DONE),
        ("on-failure", False, Event.DIED_RETRY),
        ("never", True, Event.DIED_DONE),
        ("never", False, Event.DIED_FAILED),
    ],
)
def test_verdicts(restart: str, success: bool, event: Event) -> None:
    assert verdict(restart, success) is event


def test_a_cycle_is_printed() -> None:
    services = [Service("a", "x", after="c"), Service("b", "x", requires="a"), Service("c", "x", after="b")]
    with pytest.raises(DependencyError, match="circle: a -> c -> b -> a") as caught:
        Supervisor(services)
    assert caught.value.cycle == ("a", "c", "b", "a")
    with pytest.raises(DependencyError, match="service 'a' comes after 'nobody', which is none of a"):
        Supervisor([Service("a", "x", after="nobody")])


@given(st.dictionaries(st.integers(0, 12), st.lists(st.integers(0, 12), max_size=4), max_size=13))
def test_order_or_cycle(graph: dict[int, list[int]]) -> None:
    edges = {str(name): [str(other) for other in befores if other in graph] for name, befores in graph.items()}
    cycle = find_cycle(edges)
    if cycle:
        assert cycle[0] == cycle[-1]
        assert all(after in edges[before] for before, after in itertools.pairwise(cycle))
        return
    order = start_order(edges)
    assert sorted(order) == sorted(edges)
    assert all(order.index(before) < order.index(name) for name in edges for before in edges[name])


def test_a_chain_of_ten_thousand_needs_no_stack() -> None:
    edges = {str(n): [str(n + 1)] if n < 9999 else [] for n in range(10000)}
    assert start_order(edges)[0] == "9999"


def test_duplicate_services_and_groups() -> None:
    with pytest.raises(ValueError, match="two services called 'a'"):
        Supervisor([Service("a", "x"), Service("a", "y")])
    with pytest.raises(ValueError, match=r"both have an instance called 'a\.1'"):
        Supervisor([Service("a", "x", instances=2), Service("a.1", "y")])
    with pytest.raises(ValueError, match="restart_group 'g' has no strategy"):
        Supervisor([Service("a", "x", restart_group="g")])
    with pytest.raises(ValueError, match="expected one of one_for_one"):
        Supervisor([], groups={"g": "all"})
    with pytest.raises(TypeError, match="expected a Service"):
        Supervisor(["x"])  # type: ignore[list-item]


class FakeClock:
    now = 0

    def __call__(self) -> int:
        return self.now


@given(
    st.lists(st.tuples(st.integers(0, 5), st.one_of(st.none(), st.integers(0, 100))), max_size=60), st.integers(0, 100)
)
def test_timers_against_a_dictionary(changes: list[tuple[int, int | None]], until: int) -> None:
    clock = FakeClock()
    timers, expected = Timers(clock), {}
    for key, deadline in changes:
        if deadline is None:
            timers.cancel(key)
            expected.pop(key, None)
        else:
            timers.set(key, deadline)
            expected[key] = deadline
        assert timers.next_deadline() == min(expected.values(), default=None)
    clock.now = until
    fired = timers.expired()
    assert sorted(fired) == sorted(key for key, deadline in expected.items() if deadline <= until)  # type: ignore[type-var]
    assert [expected[key] for key in fired] == sorted(expected[key] for key in fired)
    assert len(timers) == sum(deadline > until for deadline in expected.values())


def test_a_watchdog_that_is_petted_does_not_fill_the_heap() -> None:
    clock = FakeClock()
    timers = Timers(clock)
    for clock.now in range(100000):
        timers.set("dog", clock.now + 1000)
        timers.set("cat", 10**9 - clock.now)
    assert len(timers._heap) < 200


@given(st.binary())
def test_any_notification_is_parsed(message: bytes) -> None:
    assert all(name for name in parse(message))


def test_notification_fields() -> None:
    assert parse(b"READY=1\nSTATUS=all = well\nnonsense\n=x\n") == {"READY": "1", "STATUS": "all = well"}


def test_compare_says_what_a_reload_would_do() -> None:
    old = {n: Service(n, "x") for n in "abcd"}
    new = {"a": old["a"], "b": Service("b", "y"), "c": Service("c", "x", stop_timeout=3), "e": Service("e", "x")}
    change = compare(old, new)
    assert (change.added, change.removed, change.restarted, change.updated, change.unchanged) == (
        ("e",),
        ("d",),
        ("b",),
        ("c",),
        ("a",),
    )


def test_latency_buckets() -> None:
    latency = Latency()
    for seconds in (0.0001, *BOUNDS, 99):
        latency.observe(seconds)
    assert latency.counts[0] == 2
    assert latency.counts[-1] == 1
    assert sum(latency.counts) == len(BOUNDS) + 2
