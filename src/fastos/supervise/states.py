"""The life of one service as a table of state × event, apart from processes and clocks.

A row says which state follows and what is to be done; `supervisor.py` does it. Nothing here looks at a clock, a policy
or a process: whether an end is followed by a restart is decided before (`policy.py`) and comes in as one of three
events.

What holds in every sequence of events, and is tested over all of them:

- a service has a child exactly in the states of `ALIVE`; only SPAWN makes one, and it stands only in rows of a state
  without a child, so that there are never two;
- every state that waits for a child to end has a deadline armed, after which the child is killed;
- an event that comes late (the deadline of a state that was left, a notification of a child that is stopping) changes
  nothing.
"""

from enum import IntEnum
from typing import Final


class State(IntEnum):
    """Where a service is. The names in lower case are what status, metrics and the protocol say."""

    STOPPED = 0  # not wanted
    WAITING = 1  # wanted; what it comes after is not ready yet
    STARTING = 2  # its process runs and is not ready yet
    RUNNING = 3  # ready
    RELOADING = 4  # runs, and has said that it reads its configuration again
    STOPPING = 5  # told to stop; stays down afterwards
    RESTARTING = 6  # told to stop; starts again afterwards
    ABORTING = 7  # told to stop because it was unhealthy or too slow; its restart policy decides afterwards
    BACKOFF = 8  # ended; starts again when the delay is over
    EXITED = 9  # ended by itself, successfully, and is not to be restarted
    FAILED = 10  # ended by itself, and is not, or no longer, to be restarted


class Event(IntEnum):
    """What can happen to a service."""

    START = 0  # it is wanted
    STOP = 1  # it is not
    RESTART = 2  # it is wanted anew
    GO = 3  # everything it comes after is ready
    READY = 4  # it is ready
    RELOAD = 5  # it says that it is reloading
    UNHEALTHY = 6  # a health check or the watchdog has given up on it
    TIMEOUT = 7  # the deadline of its state has passed
    DIED_RETRY = 8  # no child any more (or none could be made): restart it after a delay
    DIED_DONE = 9  # no child any more: it has done its work
    DIED_FAILED = 10  # no child any more: it is not to be restarted
    BEREFT = 11  # what it requires has failed


class Action(IntEnum):
    """What is to be done on the way, in the order of the row."""

    SPAWN = 0  # make the child, arm the start timeout
    TERMINATE = 1  # send the stop signal, arm the stop timeout
    KILL = 2  # send SIGKILL, arm the stop timeout again
    DELAY = 3  # arm the back-off
    BECOME_READY = 4  # drop the start timeout, begin health checks, let those that wait go on
    AWAIT_RELOAD = 5  # arm the start timeout for the reload
    FORGET = 6  # drop the state's deadline and the history of restarts


ALIVE: Final = frozenset(
    {State.STARTING, State.RUNNING, State.RELOADING, State.STOPPING, State.RESTARTING, State.ABORTING}
)
"""States with a child."""

LEAVING: Final = frozenset({State.STOPPING, State.RESTARTING, State.ABORTING})
"""States of those that were told to stop."""

UP: Final = frozenset({State.RUNNING, State.RELOADING})
"""States in which those that come after may start."""

DOWN: Final = frozenset({State.STOPPED, State.EXITED, State.FAILED})
"""States that last: no child, and nothing that will make one by itself."""

Row = tuple[State, tuple[Action, ...]]

S, E, A = State, Event, Action

_TRANSITIONS: Final[dict[State, dict[Event, Row]]] = {
    S.STOPPED: {
        E.START: (S.WAITING, (A.FORGET,)),
        E.RESTART: (S.WAITING, (A.FORGET,)),
    },
    S.WAITING: {
        E.GO: (S.STARTING, (A.SPAWN,)),
        E.STOP: (S.STOPPED, ()),
        E.BEREFT: (S.FAILED, ()),
    },
    S.STARTING: {
        E.READY: (S.RUNNING, (A.BECOME_READY,)),
        E.STOP: (S.STOPPING, (A.TERMINATE,)),
        E.RESTART: (S.RESTARTING, (A.TERMINATE,)),
        E.UNHEALTHY: (S.ABORTING, (A.TERMINATE,)),
        E.TIMEOUT: (S.ABORTING, (A.TERMINATE,)),
        E.DIED_RETRY: (S.BACKOFF, (A.DELAY,)),
        E.DIED_DONE: (S.EXITED, ()),
        E.DIED_FAILED: (S.FAILED, ()),
    },
    S.RUNNING: {
        E.RELOAD: (S.RELOADING, (A.AWAIT_RELOAD,)),
        E.STOP: (S.STOPPING, (A.TERMINATE,)),
        E.RESTART: (S.RESTARTING, (A.TERMINATE,)),
        E.UNHEALTHY: (S.ABORTING, (A.TERMINATE,)),
        E.DIED_RETRY: (S.BACKOFF, (A.DELAY,)),
        E.DIED_DONE: (S.EXITED, ()),
        E.DIED_FAILED: (S.FAILED, ()),
    },
    S.RELOADING: {
        E.READY: (S.RUNNING, (A.BECOME_READY,)),
        E.STOP: (S.STOPPING, (A.TERMINATE,)),
        E.RESTART: (S.RESTARTING, (A.TERMINATE,)),
        E.UNHEALTHY: (S.ABORTING, (A.TERMINATE,)),
        E.TIMEOUT: (S.ABORTING, (A.TERMINATE,)),
        E.DIED_RETRY: (S.BACKOFF, (A.DELAY,)),
        E.DIED_DONE: (S.EXITED, ()),
        E.DIED_FAILED: (S.FAILED, ()),
    },
    S.STOPPING: {
        E.START: (S.RESTARTING, ()),
        E.RESTART: (S.RESTARTING, ()),
        E.TIMEOUT: (S.STOPPING, (A.KILL,)),
        E.DIED_RETRY: (S.STOPPED, ()),
        E.DIED_DONE: (S.STOPPED, ()),
        E.DIED_FAILED: (S.STOPPED, ()),
    },
    S.RESTARTING: {
        E.STOP: (S.STOPPING, ()),
        E.TIMEOUT: (S.RESTARTING, (A.KILL,)),
        E.DIED_RETRY: (S.WAITING, (A.FORGET,)),
        E.DIED_DONE: (S.WAITING, (A.FORGET,)),
        E.DIED_FAILED: (S.WAITING, (A.FORGET,)),
    },
    S.ABORTING: {
        E.START: (S.RESTARTING, ()),
        E.STOP: (S.STOPPING, ()),
        E.RESTART: (S.RESTARTING, ()),
        E.TIMEOUT: (S.ABORTING, (A.KILL,)),
        E.DIED_RETRY: (S.BACKOFF, (A.DELAY,)),
        E.DIED_DONE: (S.EXITED, ()),
        E.DIED_FAILED: (S.FAILED, ()),
    },
    S.BACKOFF: {
        E.START: (S.WAITING, (A.FORGET,)),
        E.RESTART: (S.WAITING, (A.FORGET,)),
        E.TIMEOUT: (S.WAITING, ()),
        E.STOP: (S.STOPPED, (A.FORGET,)),
    },
    S.EXITED: {
        E.START: (S.WAITING, (A.FORGET,)),
        E.RESTART: (S.WAITING, (A.FORGET,)),
        E.STOP: (S.STOPPED, ()),
    },
    S.FAILED: {
        E.START: (S.WAITING, (A.FORGET,)),
        E.RESTART: (S.WAITING, (A.FORGET,)),
        E.STOP: (S.STOPPED, ()),
    },
}

_DEATHS: Final = frozenset({E.DIED_RETRY, E.DIED_DONE, E.DIED_FAILED})


class ImpossibleEvent(AssertionError):
    """The end of a child was reported for a service that has none: a defect of the caller, never of a service."""


def _row(state: State, event: Event) -> Row | None:
    if event in _DEATHS and state not in ALIVE:
        return None
    return _TRANSITIONS[state].get(event, (state, ()))


TABLE: Final[tuple[tuple[Row | None, ...], ...]] = tuple(
    tuple(_row(state, event) for event in Event) for state in State
)
"""TABLE[state][event] -> (next state, actions); a pair that stands for nothing keeps the state; None is impossible."""


def follow(state: State, event: Event) -> Row:
    """What an event means in a state. Raises ImpossibleEvent where a child ends that cannot exist."""
    row = TABLE[state][event]
    if row is None:
        raise ImpossibleEvent(f"{event.name} in state {state.name}: there is no child")
    return row
