"""Supervision: thousands of services in one sleeping process. See docs/supervise.md."""

from fastos.supervise.check import Check
from fastos.supervise.destination import Log
from fastos.supervise.events import ServiceEvent
from fastos.supervise.graph import DependencyError
from fastos.supervise.policy import Backoff, RestartLimit
from fastos.supervise.service import Service
from fastos.supervise.states import State
from fastos.supervise.supervisor import Supervisor
from fastos.supervise.unit import Exit, Status

__all__ = [
    "Backoff",
    "Check",
    "DependencyError",
    "Exit",
    "Log",
    "RestartLimit",
    "Service",
    "ServiceEvent",
    "State",
    "Status",
    "Supervisor",
]
