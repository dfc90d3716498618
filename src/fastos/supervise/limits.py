"""Room for descriptors: a supervisor needs a few for each service, which must not inherit the raised limit."""

import contextlib

from fastos import _backend


def raise_descriptors() -> list[tuple[int, int, int]]:
    """Raises the soft limit to the hard one. Returns what children are to have: [(resource, soft, hard)], or []."""
    if not _backend.COMPILED:
        return []  # there is no way to give it back to the children
    import resource  # POSIX only

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return []
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return [(resource.RLIMIT_NOFILE, soft, hard)]
    return []


def restore(limits: list[tuple[int, int, int]]) -> None:
    """Puts the limits back."""
    if not limits:
        return
    import resource

    for number, soft, hard in limits:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(number, (soft, hard))
