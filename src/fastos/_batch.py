"""Batch: entries found together, as columns."""

import os
from array import array
from collections.abc import Iterable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol

from fastos._scan_options import FIELDS, TYPES

_METHODS = {"path": "paths", "name": "names", "type": "types"}


class Rows(Protocol):
    """What a backend delivers."""

    count: int
    error_count: int

    def paths(self) -> Sequence[Any]: ...
    def joined(self) -> bytes:
        """The paths as one piece, zero bytes between them."""

    def names(self) -> list[Any]: ...
    def types(self) -> bytes: ...
    def values(self, name: str) -> list[int]: ...
    def column(self, name: str) -> memoryview: ...
    def errors(self) -> "list[tuple[int, Any]]": ...
    def release(self) -> None: ...


class ListRows:
    """Rows held by Python: those of the standard-library backend, and those that a filter in Python has left over."""

    def __init__(self, paths: list[Any], types: bytes, columns: dict[str, Sequence[int]], errors: list[Any]) -> None:
        self._paths = paths
        self._types = types
        self._columns = {name: array(FIELDS[name], values) for name, values in columns.items()}
        self._errors = errors
        self._views: list[memoryview] = []
        self.count = len(paths)
        self.error_count = len(errors)

    def paths(self) -> list[Any]:
        return list(self._paths)

    def joined(self) -> bytes:
        return b"\0".join(map(os.fsencode, self._paths))

    def names(self) -> list[Any]:
        return [path[path.rfind("/" if isinstance(path, str) else b"/") + 1 :] for path in self._paths]

    def types(self) -> bytes:
        return self._types

    def values(self, name: str) -> list[int]:
        return self._columns[name].tolist()

    def column(self, name: str) -> memoryview:
        view = memoryview(self._columns[name]).toreadonly()
        self._views.append(view)
        return view

    def errors(self) -> list[Any]:
        return self._errors

    def release(self) -> None:
        for view in self._views:
            with suppress(BufferError):
                view.release()
        self._views.clear()


def select(rows: Rows, keep: Iterable[int], fields: tuple[str, ...]) -> ListRows:
    """The rows with these numbers."""
    chosen = list(keep)
    paths, types = rows.paths(), rows.types()
    columns = {name: rows.values(name) for name in fields}
    return ListRows(
        [paths[index] for index in chosen],
        bytes(types[index] for index in chosen),
        {name: [values[index] for index in chosen] for name, values in columns.items()},
        rows.errors(),
    )


class Batch:
    """Entries found together, as columns. A context manager that releases it; also released when it is forgotten.

    Its memory goes back to the scan's pool with release(): the views that column() gave are void from then on.
    """

    def __init__(self, rows: Rows, fields: tuple[str, ...]) -> None:
        self._rows: Rows | None = rows
        self._fields = fields
        self._count = rows.count

    def _open(self) -> Rows:
        if self._rows is None:
            raise ValueError("the batch was released")
        return self._rows

    def __len__(self) -> int:
        return self._count

    def paths(self) -> list[Any]:
        """The whole path of each entry: str, or bytes if the root was."""
        return list(self._open().paths())

    def names(self) -> list[Any]:
        """The last component of each path."""
        return self._open().names()

    def types(self) -> list[str]:
        """The type of each entry, as in Entry.type."""
        return [TYPES[number] for number in self._open().types()]

    def column(self, name: str) -> memoryview:
        """A field as numbers, without a copy: 'q', 'Q' or 'I' as its format says, valid until the batch is released.

        Raises KeyError for a field that was not asked for. What is no number has a method: paths(), names(), types().
        """
        if name in _METHODS:
            raise KeyError(f"{name!r} is no number: use Batch.{_METHODS[name]}()")
        if name not in self._fields:
            asked = ", ".join(repr(each) for each in (*self._fields, name))
            raise KeyError(f"{name!r} was not asked for; use scan(..., fields=({asked},))")
        return self._open().column(name)

    def release(self) -> None:
        """Gives the memory back. Where another object still uses the buffer of a column, that keeps it alive."""
        if self._rows is not None:
            self._rows.release()
            self._rows = None

    def __enter__(self) -> "Batch":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"<Batch of {self._count} entries{', released' if self._rows is None else ''}>"
