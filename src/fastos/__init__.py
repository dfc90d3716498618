"""fastos: Python's os at the speed of the kernel.

The public names, nothing else. Each is imported from its module on first use, so `import fastos` stays quick.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the same names as _MODULES below, for type checkers: from fastos.x import y as y
    from fastos._batch import Batch as Batch
    from fastos._completed import CalledProcessError as CalledProcessError
    from fastos._completed import Completed as Completed
    from fastos._completed import TimeoutExpired as TimeoutExpired
    from fastos._entry import Entry as Entry
    from fastos._environment import environ as environ
    from fastos._environment import environment as environment
    from fastos._environment import working_directory as working_directory
    from fastos._errors import SpawnError as SpawnError
    from fastos._exit_status import ExitStatus as ExitStatus
    from fastos._field import field as field
    from fastos._fts import FTS_D as FTS_D
    from fastos._fts import FTS_DC as FTS_DC
    from fastos._fts import FTS_DEFAULT as FTS_DEFAULT
    from fastos._fts import FTS_DNR as FTS_DNR
    from fastos._fts import FTS_DOT as FTS_DOT
    from fastos._fts import FTS_DP as FTS_DP
    from fastos._fts import FTS_ERR as FTS_ERR
    from fastos._fts import FTS_F as FTS_F
    from fastos._fts import FTS_NS as FTS_NS
    from fastos._fts import FTS_SL as FTS_SL
    from fastos._fts import FTS_SLNONE as FTS_SLNONE
    from fastos._fts import Fts as Fts
    from fastos._fts import FtsInfo as FtsInfo
    from fastos._fts import fts as fts
    from fastos._ignore import Ignore as Ignore
    from fastos._install import install as install
    from fastos._install import uninstall as uninstall
    from fastos._popen import popen as popen
    from fastos._popen import popen2 as popen2
    from fastos._popen import popen3 as popen3
    from fastos._popen import popen4 as popen4
    from fastos._predicate import Predicate as Predicate
    from fastos._pty import PTY as PTY
    from fastos._rmtree import rmtree as rmtree
    from fastos._run import pipeline as pipeline
    from fastos._run import run as run
    from fastos._run_many import Progress as Progress
    from fastos._run_many import RunMany as RunMany
    from fastos._run_many import run_many as run_many
    from fastos._run_plan import Command as Command
    from fastos._scan import Frontier as Frontier
    from fastos._scan import Scan as Scan
    from fastos._scan import Stats as Stats
    from fastos._scan import scan as scan
    from fastos._spawn import DEVNULL as DEVNULL
    from fastos._spawn import PIPE as PIPE
    from fastos._spawn import STDOUT as STDOUT
    from fastos._spawn import Process as Process
    from fastos._spawn import spawn as spawn
    from fastos._stat import Stat as Stat
    from fastos._stat import StatColumns as StatColumns
    from fastos._stat import stat as stat
    from fastos._stat import stat_many as stat_many
    from fastos._usage import Usage as Usage
    from fastos._usage import du as du
    from fastos._walk import fwalk as fwalk
    from fastos._walk import walk as walk
    from fastos.supervise.service import Service as Service
    from fastos.supervise.supervisor import Supervisor as Supervisor

__version__ = "0.1.0"

# Where each public name lives. One line a module; the names of a module in one place.
_MODULES: dict[str, tuple[str, ...]] = {
    "_ignore": ("Ignore",),
    "_predicate": ("Predicate",),
    "_field": ("field",),
    "_environment": ("environ", "environment", "working_directory"),
    "_popen": ("popen", "popen2", "popen3", "popen4"),
    "_errors": ("SpawnError",),
    "_exit_status": ("ExitStatus",),
    "_spawn": ("DEVNULL", "PIPE", "STDOUT", "Process", "spawn"),
    "_pty": ("PTY",),
    "_batch": ("Batch",),
    "_entry": ("Entry",),
    "_scan": ("Frontier", "Scan", "Stats", "scan"),
    "_fts": (
        "FTS_D",
        "FTS_DC",
        "FTS_DEFAULT",
        "FTS_DNR",
        "FTS_DOT",
        "FTS_DP",
        "FTS_ERR",
        "FTS_F",
        "FTS_NS",
        "FTS_SL",
        "FTS_SLNONE",
        "Fts",
        "FtsInfo",
        "fts",
    ),
    "_stat": ("Stat", "StatColumns", "stat", "stat_many"),
    "_usage": ("Usage", "du"),
    "_walk": ("fwalk", "walk"),
    "supervise.service": ("Service",),
    "supervise.supervisor": ("Supervisor",),
    "_completed": ("CalledProcessError", "Completed", "TimeoutExpired"),
    "_run_plan": ("Command",),
    "_run": ("pipeline", "run"),
    "_run_many": ("Progress", "RunMany", "run_many"),
    "_install": ("install", "uninstall"),
    "_rmtree": ("rmtree",),
}
_SUBMODULES = ("aio", "os", "owner", "subprocess", "supervise")

_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = ["__version__", *_HOME, *_SUBMODULES]  # noqa: PLE0604  (all are strings)


def __getattr__(name: str) -> object:
    if name in _HOME:
        value: object = getattr(importlib.import_module(f"fastos.{_HOME[name]}"), name)
    elif name in _SUBMODULES:
        value = importlib.import_module(f"fastos.{name}")
    else:
        raise AttributeError(f"module 'fastos' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
