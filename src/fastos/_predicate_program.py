"""Turns a predicate into the program that the native test runs (csrc/api/predicate.h), and a remainder for Python.

Only `re` itself can decide a regular expression. The program then holds what the expression needs at least (a prefix,
a suffix, a text within), and the remainder, evaluated in Python, decides on the entries that are left. Program and
remainder together always say what `Predicate.test` says.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from fastos import _glob, _regex
from fastos._predicate import (
    NUMBERS,
    TEXTS,
    TYPES,
    And,
    Bits,
    Constant,
    Glob,
    Leaf,
    Not,
    NumberIn,
    Or,
    Predicate,
    Range,
    Regex,
    Text,
    TextIn,
    TypeIn,
)

_T = TypeVar("_T")

_VERSION: Final = 1
_NOT, _AND, _OR, _TYPE, _RANGE, _NUMBERS, _BITS = 2, 3, 4, 5, 6, 7, 8
_TEXT: Final = {"equal": 9, "starts": 10, "ends": 11, "contains": 12, "below": 13, "at_most": 14}
_TEXTS, _GLOB = 15, 16
_COUNT_MAX: Final = 0xFFFF
_NUMBER: Final = {name: number for number, name in enumerate(NUMBERS)}

TRUE: Final = Constant("name", "True", True)
FALSE: Final = Constant("name", "False", False)


@dataclass(frozen=True, slots=True)
class Program:
    """What a scan needs to apply a predicate."""

    code: bytes  # for fo_predicate_new()
    remainder: Predicate | None  # to be asked, in Python, of every entry that passes the program
    remainder_fields: frozenset[str]  # the fields it looks at; all but name, path and depth have to be columns


def compile_predicate(predicate: Predicate) -> Program:
    """The program of a predicate. Raises ValueError for one that is nested or long beyond all measure."""
    normal = _simplify(_push_down(predicate, negated=False))
    remainder = _remainder(normal)
    code = bytes((_VERSION,)) + _encode(_in_order(_simplify(_native(normal))), 0)
    return Program(code, remainder, remainder.fields if remainder is not None else frozenset())


def _push_down(predicate: Predicate, negated: bool) -> Predicate:
    """Negations moved down to the leaves."""
    if isinstance(predicate, Not):
        return _push_down(predicate.term, not negated)
    if isinstance(predicate, (And, Or)):
        kind = And if isinstance(predicate, And) != negated else Or
        return kind(tuple(_push_down(term, negated) for term in predicate.terms))
    if isinstance(predicate, Constant):
        return FALSE if predicate.value == negated else TRUE
    return Not(predicate) if negated else predicate


def _simplify(predicate: Predicate) -> Predicate:
    """Constants folded, And in And and Or in Or flattened."""
    if not isinstance(predicate, (And, Or)):
        return predicate
    kind, decisive, neutral = (And, FALSE, TRUE) if isinstance(predicate, And) else (Or, TRUE, FALSE)
    terms: list[Predicate] = []
    for term in map(_simplify, predicate.terms):
        if term is decisive:
            return decisive
        if term is not neutral:
            terms += term.terms if isinstance(term, kind) else (term,)
    return (terms[0] if len(terms) == 1 else kind(tuple(terms))) if terms else neutral


def _remainder(predicate: Predicate) -> Predicate | None:
    """What the program leaves undecided: those terms of the outermost And that hold a regular expression."""
    terms = predicate.terms if isinstance(predicate, And) else (predicate,)
    undecided = tuple(term for term in terms if _undecided(term))
    if not undecided:
        return None
    return undecided[0] if len(undecided) == 1 else And(undecided)


def _undecided(predicate: Predicate) -> bool:
    if isinstance(predicate, (And, Or)):
        return any(map(_undecided, predicate.terms))
    leaf = predicate.term if isinstance(predicate, Not) else predicate
    return isinstance(leaf, Regex) and not _regex.need(leaf).exact


def _native(predicate: Predicate) -> Predicate:
    """The predicate in terms that the program has; where there are none, something that is true at least as often."""
    if isinstance(predicate, (And, Or)):
        return type(predicate)(tuple(map(_native, predicate.terms)))
    leaf = predicate.term if isinstance(predicate, Not) else predicate
    if isinstance(leaf, Regex):
        need = _regex.need(leaf)
        if leaf is not predicate:
            return _push_down(_native(need.predicate), negated=True) if need.exact else TRUE
        return _native(need.predicate) if need.predicate is not None else TRUE
    if isinstance(leaf, Glob):
        return _push_down(_native_glob(leaf), negated=leaf is not predicate)
    return predicate


# -- globs: most are a plain comparison


def _shortest(subject: str, tokens: tuple[_glob.Token, ...]) -> Predicate:
    """A glob of a text as one comparison of bytes where it is one."""
    kinds = [token.kind for token in tokens]
    texts = [_glob.encode(token.text) for token in tokens if token.kind == _glob.LITERAL]
    if kinds == [_glob.RUN]:
        return TRUE
    if kinds in ([], [_glob.LITERAL]):
        return Text(subject, "", "equal", b"".join(texts))
    if kinds == [_glob.RUN, _glob.LITERAL]:
        return Text(subject, "", "ends", texts[0])
    if kinds == [_glob.LITERAL, _glob.RUN]:
        return Text(subject, "", "starts", texts[0])
    if kinds == [_glob.RUN, _glob.LITERAL, _glob.RUN]:
        return Text(subject, "", "contains", texts[0])
    return Glob(subject, "", tokens)


def _as_name(tokens: Iterable[_glob.Token]) -> tuple[_glob.Token, ...]:
    """Tokens of one segment of a path, as a name has them: there is no slash to stop at."""
    kinds = {_glob.RUN_INNER: _glob.RUN, _glob.ONE_INNER: _glob.ONE}
    return tuple(
        _glob.Token(kinds.get(token.kind, token.kind), token.text, token.ranges, token.inverted) for token in tokens
    )


def _last_segment(tokens: tuple[_glob.Token, ...]) -> tuple[tuple[_glob.Token, ...], tuple[_glob.Token, ...]] | None:
    """A path glob's tokens up to its last slash and behind it; None if a run may cross slashes behind it."""
    for at in range(len(tokens) - 1, -1, -1):
        token = tokens[at]
        if token.kind == _glob.RUN:
            return None
        if token.kind == _glob.DIRECTORIES:
            return tokens[: at + 1], tokens[at + 1 :]
        if token.kind == _glob.LITERAL and "/" in token.text:
            rest = token.text.rpartition("/")[2]
            return tokens[: at + 1], ((_glob.Token(_glob.LITERAL, rest),) if rest else ()) + tokens[at + 1 :]
    return (), tokens


def _native_glob(glob: Glob) -> Predicate:
    shortest = _shortest(glob.subject, glob.tokens)
    parts = _last_segment(glob.tokens) if glob.subject == "path" and isinstance(shortest, Glob) else None
    if parts is None:
        return shortest
    before, segment = parts
    on_name = _shortest("name", _as_name(segment))
    if [token.kind for token in before] == [_glob.DIRECTORIES] and on_name is not TRUE:
        return And((on_name, Range("depth", "", 1, None)))
    # The name is tested first, since that is cheap; the root, whose path is empty, is never a hit of these.
    return And((on_name, glob)) if before else glob


# -- order: the cheap tests first, those that need a stat last


def _cost(predicate: Predicate) -> int:
    if isinstance(predicate, (And, Or)):
        return max(map(_cost, predicate.terms), default=0)
    leaf = predicate.term if isinstance(predicate, Not) else predicate
    if isinstance(leaf, (Constant, TypeIn)) or (isinstance(leaf, Leaf) and leaf.subject == "depth"):
        return 0
    if isinstance(leaf, (Range, NumberIn, Bits)):
        return 100
    cost = 3 if isinstance(leaf, Glob) else 2 if isinstance(leaf, TextIn) else 1
    return cost + 10 * (isinstance(leaf, Leaf) and leaf.subject == "path")


def _in_order(predicate: Predicate) -> Predicate:
    if not isinstance(predicate, (And, Or)):
        return predicate
    return type(predicate)(tuple(sorted(map(_in_order, predicate.terms), key=_cost)))


# -- bytes


def _u16(value: int) -> bytes:
    return value.to_bytes(2, "little")


def _u64(value: int) -> bytes:
    return (value & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(8, "little")


def _text(value: bytes) -> bytes:
    return len(value).to_bytes(4, "little") + value


def _bounds(field: str) -> tuple[int, int]:
    """What a number can be."""
    return (-(1 << 63), (1 << 63) - 1) if NUMBERS[field] else (0, (1 << 64) - 1)


def _encode_range(leaf: Range) -> bytes:
    lowest, highest = _bounds(leaf.subject)
    least = lowest if leaf.least is None else max(leaf.least, lowest)
    most = highest if leaf.most is None else min(leaf.most, highest)
    if least > most:
        return b"\x00"
    return bytes((_RANGE, _NUMBER[leaf.subject])) + _u64(least) + _u64(most)


def _encode_numbers(leaf: NumberIn) -> bytes:
    lowest, highest = _bounds(leaf.subject)
    values = sorted({number & (1 << 64) - 1 for number in leaf.numbers if lowest <= number <= highest})
    head = bytes((_NUMBERS, _NUMBER[leaf.subject]))
    return _alternatives([head + _u16(len(part)) + b"".join(map(_u64, part)) for part in _parts(values)])


def _encode_texts(leaf: TextIn) -> bytes:
    values = sorted(leaf.values, key=lambda value: (len(value), value))
    head = bytes((_TEXTS, TEXTS.index(leaf.subject)))
    return _alternatives([head + _u16(len(part)) + b"".join(map(_text, part)) for part in _parts(values)])


def _parts(values: list[_T]) -> Iterator[list[_T]]:
    for at in range(0, len(values), _COUNT_MAX):
        yield values[at : at + _COUNT_MAX]


def _alternatives(nodes: list[bytes]) -> bytes:
    return nodes[0] if len(nodes) == 1 else bytes((_OR,)) + _u16(len(nodes)) + b"".join(nodes)


def _encode_leaf(leaf: Predicate) -> bytes:
    match leaf:
        case Constant():
            return bytes((leaf.value,))
        case TypeIn():
            return bytes((_TYPE,)) + _u16(sum(1 << TYPES.index(each) for each in leaf.types))
        case Range():
            return _encode_range(leaf)
        case NumberIn():
            return _encode_numbers(leaf)
        case Bits():
            return bytes((_BITS, _NUMBER[leaf.subject])) + _u64(leaf.mask) + _u64(leaf.value)
        case Text():
            return bytes((_TEXT[leaf.operation], TEXTS.index(leaf.subject))) + _text(leaf.value)
        case TextIn():
            return _encode_texts(leaf)
        case Glob():
            return bytes((_GLOB, TEXTS.index(leaf.subject))) + _text(_glob.compile_native(leaf.tokens))
    raise TypeError(f"{leaf!r} is no predicate of fastos")


def _encode(predicate: Predicate, depth: int) -> bytes:
    if depth > 60:
        raise ValueError("the predicate is nested more than 60 levels deep")
    if isinstance(predicate, Not):
        return bytes((_NOT,)) + _encode_leaf(predicate.term)
    if not isinstance(predicate, (And, Or)):
        return _encode_leaf(predicate)
    kind = _AND if isinstance(predicate, And) else _OR
    groups = [
        bytes((kind,)) + _u16(len(part)) + b"".join(_encode(term, depth + 2) for term in part)
        for part in _parts(list(predicate.terms))
    ]
    return groups[0] if len(groups) == 1 else bytes((kind,)) + _u16(len(groups)) + b"".join(groups)
