"""What a scan asks of each entry, and of each directory before it enters it."""

from collections.abc import Callable, Iterator
from typing import Any

from fastos import _backend
from fastos._batch import Rows
from fastos._field import require
from fastos._predicate import Predicate
from fastos._scan_options import FIELDS, TYPES, Options


class _Row:
    """An entry as Predicate.test sees it."""

    def __init__(self, path: bytes, name: bytes, kind: str, depth: int) -> None:
        self.path, self.name, self.type, self.depth = path, name, kind, depth


def prepare(
    options: Options, engine: Callable[[Options], Any]
) -> tuple[tuple[Predicate, tuple[str, ...]] | None, Callable[[Options], Any]]:
    """Compiles where= and prune=. Returns what of where= is left for Python, and the engine that can do the rest."""
    if options.where is not None:
        require(options.where, "where")
    if options.prune is not None:
        require(options.prune, "prune")
    if not _backend.COMPILED:
        return None, engine
    from fastos._predicate_program import compile_predicate

    remainder = None
    if options.prune is not None:
        program = compile_predicate(options.prune)
        if program.remainder is not None:
            # Only Python can decide what to enter: then Python reads.
            return None, _backend.module("stdlib", "scan").Engine
        options.prune_code = program.code
    if options.where is not None:
        program = compile_predicate(options.where)
        options.where_code = program.code
        if program.remainder is not None:
            fields = tuple(name for name in FIELDS if name in program.remainder_fields)
            options.fields = tuple(dict.fromkeys((*options.fields, *fields)))
            remainder = (program.remainder, fields)
    return remainder, engine


def matching(rows: Rows, predicate: Predicate, fields: tuple[str, ...], options: Options) -> Iterator[int]:
    """The numbers of the rows that meet the predicate."""
    base = len(options.root) + (not options.root.endswith(b"/"))
    columns = {name: rows.values(name) for name in fields}
    for index, (path, kind) in enumerate(zip(rows.paths(), rows.types(), strict=True)):
        whole = path if isinstance(path, bytes) else _encode(path)
        below = whole[base:]
        depth = below.count(b"/") + 1 if below else 0
        row = _Row(below, whole[whole.rfind(b"/") + 1 :], TYPES[kind], depth)
        for name, values in columns.items():
            setattr(row, name, values[index])
        if predicate.test(row):
            yield index


def _encode(path: str) -> bytes:
    import os

    return os.fsencode(path)
