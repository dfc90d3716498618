"""What a text must have for a regular expression to be found in it, as far as that is easily told.

Reads the parse tree of the standard library's own `re._parser`. That is private: where it is missing or different,
nothing is told, and `re` is asked for every entry.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastos._predicate import And, Or, Predicate, Regex, Text

try:
    from re import _constants, _parser  # type: ignore[attr-defined]
except ImportError:  # an interpreter with another layout
    _parser = None

_FLAGS_UNDERSTOOD = re.UNICODE | re.DOTALL | re.ASCII | re.VERBOSE


@dataclass(frozen=True, slots=True)
class Need:
    """A predicate that holds wherever the expression is found (None: nothing is known); exact: and nowhere else."""

    predicate: Any
    exact: bool = False


_NOTHING = Need(None)


def need(leaf: Regex) -> Need:
    """What the expression of a leaf needs."""
    pattern = leaf.pattern
    if _parser is None or pattern.flags & ~_FLAGS_UNDERSTOOD:
        return _NOTHING
    try:
        return _of_sequence(list(_parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE)), leaf)
    except (AttributeError, TypeError, ValueError, IndexError, RecursionError):
        return _NOTHING


def _is_at(item: tuple[Any, Any], *places: Any) -> bool:
    return bool(item[0] is _constants.AT and item[1] in places)


def _encode(characters: Sequence[int], leaf: Regex) -> bytes:
    if isinstance(leaf.pattern.pattern, bytes):
        return bytes(characters)
    return "".join(map(chr, characters)).encode("utf-8", "surrogateescape")


def _of_sequence(items: list[tuple[Any, Any]], leaf: Regex) -> Need:
    """The need of a whole expression: what it is anchored to, and its literal texts."""
    at_start = bool(items) and _is_at(items[0], _constants.AT_BEGINNING, _constants.AT_BEGINNING_STRING)
    at_end = bool(items) and _is_at(items[-1], _constants.AT_END, _constants.AT_END_STRING)
    ends = [b""] if not at_end or _is_at(items[-1], _constants.AT_END_STRING) else [b"", b"\n"]
    body = items[at_start : len(items) - at_end]
    if all(item[0] is _constants.LITERAL for item in body):
        text = _encode([item[1] for item in body], leaf)
        exact = text.isascii() or isinstance(leaf.pattern.pattern, bytes)
        return Need(_anchored(text, ends, at_start, at_end, leaf), exact)
    terms: list[Predicate] = []
    if at_start and (head := _run(body, leaf)):
        terms.append(Text(leaf.subject, "", "starts", head))
    if at_end and (tail := _run(body[::-1], leaf, backwards=True)):
        terms.append(_anchored(tail, ends, False, True, leaf))
    terms += _within(body, leaf)
    return Need(_joined(terms))


def _joined(terms: list[Predicate]) -> Predicate | None:
    if len(terms) > 1:
        return And(tuple(terms))
    return terms[0] if terms else None


def _anchored(text: bytes, ends: list[bytes], at_start: bool, at_end: bool, leaf: Regex) -> Predicate:
    if not at_end:
        return Text(leaf.subject, "", "starts" if at_start else "contains", text)
    choices = tuple(Text(leaf.subject, "", "equal" if at_start else "ends", text + end) for end in ends)
    return choices[0] if len(choices) == 1 else Or(choices)


def _run(items: list[tuple[Any, Any]], leaf: Regex, backwards: bool = False) -> bytes:
    """The literal text that the items begin with."""
    characters = []
    for kind, value in items:
        if kind is not _constants.LITERAL:
            break
        characters.append(value)
    return _encode(characters[::-1] if backwards else characters, leaf)


def _within(items: list[tuple[Any, Any]], leaf: Regex) -> list[Predicate]:
    """What must be somewhere in the text: the longest literal run, and what groups and branches need."""
    found: list[Predicate] = []
    longest = b""
    for at, (kind, value) in enumerate(items):
        if kind is _constants.LITERAL:
            longest = max(longest, _run(items[at:], leaf), key=len)
        elif kind is _constants.SUBPATTERN and not value[1]:
            found += _within(list(value[3]), leaf)
        elif kind in (_constants.MAX_REPEAT, _constants.MIN_REPEAT) and value[0] > 0:
            found += _within(list(value[2]), leaf)
        elif kind is _constants.BRANCH:
            branches = [_joined(_within(list(branch), leaf)) for branch in value[1]]
            if all(branch is not None for branch in branches):
                found.append(Or(tuple(branch for branch in branches if branch is not None)))
    if longest:
        found.append(Text(leaf.subject, "", "contains", longest))
    return found
