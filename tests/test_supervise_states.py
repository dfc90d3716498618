"""The table of states, over every sequence of events; and the conductor with fake children and a fake clock."""

import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fastos.supervise.conductor import Conductor
from fastos.supervise.dependencies import blockers
from fastos.supervise.policy import Backoff, RestartLimit
from fastos.supervise.roster import Roster, check_services
from fastos.supervise.service import Service
from fastos.supervise.states import ALIVE, DOWN, TABLE, Action, Event, ImpossibleEvent, State, follow
from fastos.supervise.timers import Timers
from fastos.supervise.unit import Exit, Unit

DEATHS = (Event.DIED_RETRY, Event.DIED_DONE, Event.DIED_FAILED)


def test_every_pair_has_a_row() -> None:
    assert len(TABLE) == len(State)
    assert all(len(row) == len(Event) for row in TABLE)


def test_only_the_end_of_a_child_that_cannot_be_is_impossible() -> None:
    for state, event in itertools.product(State, Event):
        assert (TABLE[state][event] is None) == (event in DEATHS and state not in ALIVE)


def test_impossible_event_is_an_error() -> None:
    with pytest.raises(ImpossibleEvent, match="DIED_DONE in state STOPPED"):
        follow(State.STOPPED, Event.DIED_DONE)


def test_a_child_exists_exactly_in_the_states_of_alive() -> None:
    """Every row: SPAWN enters ALIVE from outside, a death leaves it, nothing else crosses."""
    for state, event in itertools.product(State, Event):
        row = TABLE[state][event]
        if row is None:
            continue
        after, actions = row
        if Action.SPAWN in actions:
            assert state not in ALIVE
            assert after in ALIVE
        elif event in DEATHS:
            assert state in ALIVE
            assert after not in ALIVE
        else:
            assert (state in ALIVE) == (after in ALIVE)


def test_a_state_that_waits_for_a_death_has_armed_a_deadline() -> None:
    leaving = {State.STOPPING, State.RESTARTING, State.ABORTING}
    for state, event in itertools.product(State, Event):
        row = TABLE[state][event]
        if row is not None and row[0] in leaving and state not in leaving:
            assert Action.TERMINATE in row[1]
    for state in leaving:
        assert TABLE[state][Event.TIMEOUT] == (state, (Action.KILL,))


def test_every_state_can_be_stopped_and_started_again() -> None:
    for state in State:
        after = follow(state, Event.STOP)[0]
        if after in ALIVE:
            after = follow(after, Event.DIED_FAILED)[0]
        assert after is State.STOPPED
        after = follow(state, Event.START)[0]
        assert after not in DOWN


class FakeChildren:
    """Children that end when they are told to, or not."""

    def __init__(self) -> None:
        self.alive: dict[str, int] = {}
        self.killed: set[str] = set()
        self.started = 0
        self.fail_next = False

    def spawn(self, unit: Unit) -> None:
        assert unit.name not in self.alive, "two children of one service"
        if self.fail_next:
            self.fail_next = False
            raise OSError(2, "no such file")
        self.started += 1
        unit.pid = self.alive[unit.name] = self.started

    def terminate(self, unit: Unit) -> None:
        assert unit.name in self.alive

    def kill(self, unit: Unit) -> None:
        assert unit.name in self.alive
        self.killed.add(unit.name)


class FakeProbes:
    def begin_readiness(self, unit: Unit) -> bool:
        return unit.service.readiness.kind == "none"

    def begin_health(self, unit: Unit) -> None: ...

    def end(self, unit: Unit) -> None: ...


SERVICES = (
    Service("db", ["db"], readiness="notify", backoff=0, stop_timeout=5, start_timeout=20),
    Service("cache", ["cache"], restart="on-failure", backoff=Backoff(1, jitter=0), restart_limit=(3, 100)),
    Service("migrate", ["migrate"], restart="never", readiness="exit", requires="db"),
    Service("web", ["web"], requires=("db", "migrate"), after="cache", readiness="notify"),
    Service("a", ["a"], restart_group="all", backoff=0),
    Service("b", ["b"], restart_group="all", backoff=2),
    Service("r1", ["r1"], restart_group="rest", backoff=0, restart_limit=RestartLimit(5, 50, "shutdown")),
    Service("r2", ["r2"], restart_group="rest", backoff=1, after="r1"),
)
GROUPS = {"all": "one_for_all", "rest": "rest_for_one"}
NAMES = st.sampled_from([service.name for service in SERVICES])


class Supervision(RuleBasedStateMachine):
    """Anything may happen in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.timers = Timers(lambda: self.now)
        self.children = FakeChildren()
        self.given_up: list[str] = []
        self.conductor = Conductor(
            self.timers,
            self.children,
            FakeProbes(),
            lambda unit, before: None,
            lambda unit: self.given_up.append(unit.name),
            clock=lambda: self.now,
            chance=lambda: 0.5,
        )
        self.roster = Roster(None, GROUPS)  # type: ignore[arg-type]
        for service in check_services(SERVICES, GROUPS).values():
            for unit in self.roster.create(service):
                self.conductor.add(unit)
        self.roster.wire()

    @rule(name=NAMES)
    def start(self, name: str) -> None:
        self.conductor.start(self.roster.units[name])

    @rule(name=NAMES)
    def stop(self, name: str) -> None:
        self.conductor.stop([self.roster.units[name]])

    @rule()
    def stop_all(self) -> None:
        self.conductor.stop(self.roster.units.values())

    @rule(name=NAMES)
    def restart(self, name: str) -> None:
        self.conductor.restart(self.roster.units[name])

    @rule(name=NAMES, event=st.sampled_from([Event.READY, Event.RELOAD, Event.UNHEALTHY]))
    def tell(self, name: str, event: Event) -> None:
        self.conductor.post(self.roster.units[name], event)

    @rule()
    def next_spawn_fails(self) -> None:
        self.children.fail_next = True

    @precondition(lambda self: self.children.alive)
    @rule(data=st.data(), code=st.sampled_from([0, 1, None]))
    def die(self, data: st.DataObject, code: int | None) -> None:
        name = data.draw(st.sampled_from(sorted(self.children.alive)))
        self.end(name, Exit(code=code) if code is not None else Exit(lost=True))

    def end(self, name: str, how: Exit) -> None:
        unit = self.roster.units[name]
        del self.children.alive[name]
        self.children.killed.discard(name)
        unit.pid = 0
        self.conductor.ended(unit, how)

    @rule(seconds=st.sampled_from([0.5, 1, 3, 10, 100]))
    def wait(self, seconds: float) -> None:
        self.now += int(seconds * 1e9)
        for key in self.timers.expired():
            assert isinstance(key, Unit)
            self.conductor.expired(key)

    @invariant()
    def children_are_those_of_the_states(self) -> None:
        for unit in self.roster.units.values():
            assert (unit.state in ALIVE) == (unit.name in self.children.alive)

    @invariant()
    def who_is_on_the_way_down_has_a_deadline(self) -> None:
        for unit in self.roster.units.values():
            if unit.state in (State.STOPPING, State.RESTARTING, State.ABORTING, State.BACKOFF):
                assert self.timers.deadline(unit) is not None

    @invariant()
    def counts_hold(self) -> None:
        for state in State:
            assert self.conductor.counts[state] == sum(u.state is state for u in self.roster.units.values())
        for unit in self.roster.units.values():
            if unit.group is not None:
                assert unit.group.unsettled == sum(
                    m.state in (State.RESTARTING, State.ABORTING, State.BACKOFF) for m in unit.group.members
                )

    @invariant()
    def who_waits_has_a_reason(self) -> None:
        """No service is forgotten in WAITING when nothing holds it any more."""
        for unit in self.roster.units.values():
            if unit.state is State.WAITING and unit.wanted:
                held = unit.group is not None and unit.group.holds()
                assert held or blockers(unit)

    def teardown(self) -> None:
        """From wherever it is: stop, let time pass and children die, and everything is down and stays down."""
        self.conductor.stop(self.roster.units.values())
        for _ in range(200):
            for name in sorted(self.children.alive):
                if self.roster.units[name].state is State.STOPPING:
                    self.end(name, Exit(signal=15))
            if not self.children.alive:
                break
            self.wait(10)
        assert not self.children.alive
        self.wait(1000)
        assert all(unit.state in DOWN for unit in self.roster.units.values())


TestSupervision = Supervision.TestCase
TestSupervision.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


class Stage:
    """A conductor over fake children, without the clock moving."""

    def __init__(self, *services: Service, groups: dict[str, str] | None = None) -> None:
        self.children = FakeChildren()
        self.said: list[str] = []
        self.now = 0
        self.timers = Timers(lambda: self.now)
        self.conductor = Conductor(self.timers, self.children, FakeProbes(), self.changed, lambda unit: None, lambda: 0)
        self.roster = Roster(None, groups or {})  # type: ignore[arg-type]
        for service in check_services(services, groups or {}).values():
            for unit in self.roster.create(service):
                self.conductor.add(unit)
        self.roster.wire()
        self.units = self.roster.units
        for unit in self.units.values():
            self.conductor.start(unit)
        self.said.clear()

    def changed(self, unit: Unit, before: State) -> None:
        if unit.state in (State.STOPPING, State.RESTARTING, State.STARTING):
            self.said.append(f"{unit.name} {unit.state.name.lower()}")

    def end(self, name: str, code: int | None = 0) -> None:
        del self.children.alive[name]
        self.conductor.ended(self.units[name], Exit(code=code) if code is not None else Exit(signal=15))
        self.now += 1
        for unit in self.timers.expired():  # a delay of 0
            self.conductor.expired(unit)  # type: ignore[arg-type]

    def states(self) -> dict[str, str]:
        return {name: unit.state.name.lower() for name, unit in self.units.items()}


def test_restart_takes_those_along_that_require_it() -> None:
    stage = Stage(
        Service("db", ["db"]),
        Service("web", ["web"], requires="db"),
        Service("proxy", ["proxy"], requires="web"),
        Service("cron", ["cron"], after="db"),
    )
    stage.conductor.restart(stage.units["db"])
    assert stage.said == ["proxy restarting"]
    stage.end("proxy")
    stage.end("web")
    assert stage.said == ["proxy restarting", "web restarting", "db restarting"]
    stage.end("db")
    assert stage.said[3:] == ["db starting", "web starting", "proxy starting"]
    assert set(stage.states().values()) == {"running"}


def test_a_failure_leaves_alone_who_runs_and_fails_who_waits() -> None:
    stage = Stage(
        Service("db", ["db"], restart="never"),
        Service("web", ["web"], requires="db", backoff=0),
        Service("late", ["late"], requires="web", readiness="notify"),
        Service("last", ["last"], requires="late"),
    )
    stage.end("db", 1)
    assert stage.states() == {"db": "failed", "web": "running", "late": "starting", "last": "waiting"}
    stage.end("web", 1)  # its restart would need the database
    assert stage.states()["web"] == "failed"
    assert stage.units["web"].message == "db, which it requires, has failed"
    assert stage.states()["last"] == "waiting"  # for `late`, which runs
    stage.conductor.start(stage.units["last"])
    stage.conductor.start(stage.units["late"])
    assert stage.states() == {"db": "running", "web": "running", "late": "starting", "last": "waiting"}


def test_a_failed_job_fails_all_that_wait_for_it() -> None:
    stage = Stage(
        Service("migrate", ["migrate"], restart="never", readiness="exit"),
        Service("web", ["web"], requires="migrate"),
        Service("proxy", ["proxy"], requires="web"),
        Service("cron", ["cron"], after="web"),
    )
    stage.end("migrate", 1)
    assert stage.states() == {"migrate": "failed", "web": "failed", "proxy": "failed", "cron": "running"}
    stage.conductor.restart(stage.units["migrate"])
    stage.end("migrate")
    assert stage.states() == {"migrate": "exited", "web": "running", "proxy": "running", "cron": "running"}


GROUP = tuple(Service(name, [name], restart_group="g", backoff=0, restart_limit=(1, 60)) for name in "abcd")


def test_a_group_stops_in_reverse_order() -> None:
    stage = Stage(*GROUP, groups={"g": "rest_for_one"})
    stage.end("b", 1)
    assert stage.said == ["d restarting"]
    stage.end("d")
    assert stage.said == ["d restarting", "c restarting"]
    stage.end("c")
    assert sorted(stage.said[2:]) == ["b starting", "c starting", "d starting"]
    stage.said.clear()
    stage.conductor.stop(stage.units.values())
    for name in "dcba":
        assert stage.said[-1] == f"{name} stopping"
        stage.end(name)
    assert len(stage.said) == 4


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_a_group_gives_up_when_a_member_does(strategy: str) -> None:
    other = Service("other", ["other"])
    user = Service("user", ["user"], requires="a")
    stage = Stage(*GROUP, other, user, groups={"g": strategy})
    stage.end("d", 1)
    for name in ("user", "c", "b", "a"):
        if stage.units[name].state is State.RESTARTING:
            stage.end(name)
    assert set(stage.states().values()) == {"running"}
    stage.end("d", 1)
    for name in ("user", "c", "b", "a"):
        stage.end(name)
    expected = dict.fromkeys(("a", "b", "c", "user"), "stopped")
    assert stage.states() == {**expected, "d": "failed", "other": "running"}
    assert stage.units["a"].message == "stopped: d of its group has failed"
