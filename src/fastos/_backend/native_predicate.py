"""The native predicate: a handle on a compiled program."""

from typing import Any

from fastos._backend.native import ffi, lib
from fastos._errors import check
from fastos._predicate import Predicate
from fastos._predicate_program import Program, compile_predicate


class NativePredicate:
    """A predicate ready for C: `handle` is a `struct fo_predicate *`, freed with this object."""

    __slots__ = ("handle", "program")

    def __init__(self, predicate: Predicate) -> None:
        self.program: Program = compile_predicate(predicate)
        out = ffi.new("struct fo_predicate **")
        check(lib.fo_predicate_new(self.program.code, len(self.program.code), out))
        self.handle: Any = ffi.gc(out[0], lib.fo_predicate_free)

    @property
    def stat_mask(self) -> int:
        """The FO_STAT_* bits that the program can ask for."""
        mask: int = lib.fo_predicate_stat_mask(self.handle)
        return mask
