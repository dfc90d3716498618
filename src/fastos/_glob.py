"""Globs as tokens: one reading of a pattern, for the native matcher and for the Python one.

A *name* glob is fnmatch's: `*` any characters, `?` one, `[abc]`, `[a-z]`, `[!...]` a class; no escapes (`[*]` is a
star); a `[` without its `]` is a plain one. A *path* glob is that of `pathlib.PurePath.full_match`: `*` and `?` stop
at a slash, and `**` as a whole segment stands for any number of directories, none included. A character is a
well-formed UTF-8 sequence; a byte that is part of none stands alone, as `os.fsdecode` has it.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from typing import Final, Literal

LITERAL, ONE, ONE_INNER, RUN, RUN_INNER, CLASS, DIRECTORIES = range(1, 8)
_INVERTED, _INNER = 1, 2
_RANGES_MAX: Final = 0xFFFF
_RUNS: Final = {RUN: ".*", RUN_INNER: "[^/]*"}


@dataclass(frozen=True, slots=True)
class Token:
    """One token of csrc/glob.h."""

    kind: int
    text: str = ""
    ranges: tuple[tuple[int, int], ...] = ()
    inverted: bool = False
    inner: bool = False


def decode(name: bytes) -> str:
    """The characters of a name, as the native matcher counts them."""
    return name.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """The bytes of a pattern's text."""
    return text.encode("utf-8", "surrogateescape")


@cache
def _case_pairs() -> dict[str, frozenset[str]]:
    """Every character that has other cases -> all of them."""
    groups: dict[str, set[str]] = {}
    for code in range(0x110000):
        character = chr(code)
        if unicodedata.category(character) in ("Ll", "Lu", "Lt"):
            lower = character.lower()
            groups.setdefault(lower if len(lower) == 1 else character, set()).add(character)
    return {each: frozenset(group) for group in groups.values() if len(group) > 1 for each in group}


def _variants(character: str) -> frozenset[str]:
    if character.isascii():
        return frozenset((character.lower(), character.upper()))
    return _case_pairs().get(character, frozenset((character,)))


def _merge(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def _fold(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges and every other case of what is in them."""
    folded = list(ranges)
    for first, last in ranges:
        if last < 128:
            cased: Iterable[str] = map(chr, range(first, last + 1))
        else:
            cased = [each for each in _case_pairs() if first <= ord(each) <= last]
            cased = [*cased, *map(chr, range(first, min(last, 127) + 1))]
        folded += [(ord(other), ord(other)) for each in cased for other in _variants(each)]
    return folded


def _class(body: str, ignore_case: bool, inner: bool) -> Token:
    """`[body]`, read as fnmatch reads it: a range that runs backwards holds nothing."""
    inverted = body.startswith("!")
    body = body[inverted:]
    ranges: list[tuple[int, int]] = []
    at = 0
    while at < len(body):
        last = body[at + 2] if body[at + 1 : at + 2] == "-" and at + 2 < len(body) else body[at]
        if body[at] <= last:
            ranges.append((ord(body[at]), ord(last)))
        at += 3 if body[at + 1 : at + 2] == "-" and at + 2 < len(body) else 1
    return Token(CLASS, ranges=_merge(_fold(ranges) if ignore_case else ranges), inverted=inverted, inner=inner)


def _segment(pattern: str, ignore_case: bool, inner: bool) -> Iterator[Token]:
    """The tokens of a pattern without slashes."""
    at = 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "*":
            yield Token(RUN_INNER if inner else RUN)
        elif character == "?":
            yield Token(ONE_INNER if inner else ONE)
        elif character == "[" and (match := re.compile(r"!?\]?[^]]*\]", re.DOTALL).match(pattern, at)):
            yield _class(match[0][:-1], ignore_case, inner)
            at = match.end()
        elif "\udc80" <= character <= "\udcff":
            # A byte that is no character must not match inside of one.
            yield Token(CLASS, ranges=((ord(character), ord(character)),))
        elif ignore_case and len(variants := _variants(character)) > 1:
            yield Token(CLASS, ranges=_merge((ord(each), ord(each)) for each in variants))
        else:
            yield Token(LITERAL, character)


def _join(tokens: Iterable[Token]) -> tuple[Token, ...]:
    """Neighbouring literals made one, repeated runs and `**/` too."""
    joined: list[Token] = []
    for token in tokens:
        if joined and token.kind == LITERAL and joined[-1].kind == LITERAL:
            joined[-1] = Token(LITERAL, joined[-1].text + token.text)
        elif joined and token.kind in (RUN, RUN_INNER, DIRECTORIES) and joined[-1] == token:
            pass
        else:
            joined.append(token)
    return tuple(joined)


def _path_tokens(pattern: str, ignore_case: bool) -> Iterator[Token]:
    segments = pattern.split("/")
    for number, segment in enumerate(segments):
        is_last = number == len(segments) - 1
        if segment == "**":
            yield Token(RUN if is_last else DIRECTORIES)
            continue
        yield from _segment(segment, ignore_case, inner=True)
        if not is_last:
            yield Token(LITERAL, "/")


@lru_cache(maxsize=512)
def parse(pattern: str, kind: Literal["name", "path"], ignore_case: bool) -> tuple[Token, ...]:
    """The tokens of a glob. There is no malformed one."""
    if kind == "name":
        return _join(_segment(pattern, ignore_case, inner=False))
    return _join(_path_tokens(pattern, ignore_case))


def compile_native(tokens: Iterable[Token]) -> bytes:
    """The tokens as csrc/glob.h wants them. Raises ValueError for a text or class that is far too large."""
    code = bytearray()
    for token in tokens:
        code.append(token.kind)
        if token.kind == LITERAL:
            text = encode(token.text)
            if len(text) > 0xFFFF:
                raise ValueError("the glob is longer than any file name")
            code += len(text).to_bytes(2, "little") + text
        elif token.kind == CLASS:
            code.append(_INVERTED * token.inverted | _INNER * token.inner)
            code += len(token.ranges).to_bytes(2, "little")
            for first, last in token.ranges:
                code += first.to_bytes(4, "little") + last.to_bytes(4, "little")
    return bytes(code)


def _expression(token: Token) -> str:
    if token.kind == CLASS:
        body = "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in token.ranges)
        if not body:
            return ("[^/]" if token.inner else ".") if token.inverted else "(?!)"
        inner = "(?!/)" if token.inner else ""
        return f"{inner}[{'^' if token.inverted else ''}{body}]"
    plain = {ONE: ".", ONE_INNER: "[^/]", **_RUNS}
    return re.escape(token.text) if token.kind == LITERAL else plain[token.kind]


def _between(tokens: Sequence[Token], kinds: Collection[int]) -> list[Sequence[Token]]:
    """Cuts before every token of these kinds."""
    cuts = [0, *(number for number, token in enumerate(tokens) if token.kind in kinds), len(tokens)]
    return [tokens[start:end] for start, end in pairwise(cuts)]


def _runs(tokens: Sequence[Token]) -> str:
    """Tokens without DIRECTORIES. Once what follows a run is found, the next run can take the rest: so the first place
    is as good as any, and is not given up again. Without that a pattern of many runs would take exponential time."""
    fixed, *rest = _between(tokens, _RUNS)
    written = ["".join(map(_expression, fixed))]
    for number, (run, *after) in enumerate(rest, 1):
        what = "".join(map(_expression, after))
        written.append(f"(?>{_RUNS[run.kind]}?{what})" if number < len(rest) else f"{_RUNS[run.kind]}{what}")
    return "".join(written)


@lru_cache(maxsize=512)
def compile_python(tokens: tuple[Token, ...]) -> re.Pattern[str]:
    """The tokens as a regular expression over decoded text, for `fullmatch`."""
    first, *rest = _between(tokens, (DIRECTORIES,))
    written = [_runs(first)]
    for number, part in enumerate(rest, 1):
        segments = _runs(part[1:])
        # The same for `**/`: what is between two of them may stand in the first place that it is found in.
        written.append(f"(?>(?:.*?/)??{segments})" if number < len(rest) else f"(?:.*/)?{segments}")
    return re.compile("".join(written), re.DOTALL)
