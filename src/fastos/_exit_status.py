"""How a process ended: its code or signal, and what it used."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import resource
    from collections.abc import Callable


class ExitStatus:
    """How a process ended. Immutable; two are equal if all but the resource usage is.

    Attributes:
        code: the exit code, 0 to 255; None if a signal ended the process or the status is lost.
        signal: the number of the signal that ended it, else None.
        core_dumped: whether the kernel wrote a core file.
        lost: somebody else took the status (a `waitpid(-1)` elsewhere in the program, or SIGCHLD ignored): that the
            process has ended is all that is known. A lost status is never taken for success.

    See waitid(2), getrusage(2).
    """

    __slots__ = ("_told",)

    _told: "tuple[int | None, int | None, bool, bool, Callable[[], tuple[float, ...]] | tuple[float, ...] | None]"

    def __init__(
        self,
        code: int | None = None,
        signal: int | None = None,
        core_dumped: bool = False,
        lost: bool = False,
        usage: "Callable[[], tuple[float, ...]] | tuple[float, ...] | None" = None,
    ) -> None:
        _tell(self, (code, signal, core_dumped, lost, usage))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"ExitStatus is immutable: {name!r} cannot be set")

    __delattr__ = __setattr__  # type: ignore[assignment]

    @property
    def code(self) -> int | None:
        return self._told[0]

    @property
    def signal(self) -> int | None:
        return self._told[1]

    @property
    def core_dumped(self) -> bool:
        return self._told[2]

    @property
    def lost(self) -> bool:
        return self._told[3]

    @property
    def success(self) -> bool:
        """Whether the process ended by itself with code 0."""
        return self.code == 0

    @property
    def returncode(self) -> int | None:
        """As `subprocess` says it: the code, or minus the signal; None if lost."""
        return -self.signal if self.signal is not None else self.code

    @property
    def rusage(self) -> "resource.struct_rusage | None":
        """What the process and its waited-for descendants used: a `resource.struct_rusage`.

        None if the status is lost, and where there is no getrusage(2). ru_maxrss is in KiB on Linux.
        """
        usage = self._usage_tuple()
        if usage is None:
            return None
        import resource

        return resource.struct_rusage(usage)

    def _usage_tuple(self) -> "tuple[float, ...] | None":
        usage = self._told[4]
        if callable(usage):
            usage = usage()
            _tell(self, (*self._told[:4], usage))
        return usage

    def _key(self) -> tuple[object, ...]:
        return self._told[:4]

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, ExitStatus) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __reduce__(self) -> tuple[object, ...]:
        return (ExitStatus, (*self._key(), self._usage_tuple()))

    def __repr__(self) -> str:
        if self.lost:
            return "<ExitStatus lost>"
        if self.signal is None:
            return f"<ExitStatus code={self.code}>"
        return f"<ExitStatus signal={self.signal}{' core dumped' if self.core_dumped else ''}>"


# How the constructor, and nobody else, sets it.
_tell: Final = vars(ExitStatus)["_told"].__set__
