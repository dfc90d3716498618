"""What a scan leaves out: `ignore="git"`, patterns, or both."""

import os
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ignore:
    """What a scan leaves out. `ignore="git"` is short for `Ignore(git=True)`, `ignore=[...]` for `Ignore([...])`.

    Arguments:
        patterns: lines as in gitignore(5), which hold at the scan's root and go before everything else: `*.o`,
            `/build/`, `!keep.o`, `doc/**/*.pdf`. The last one that matches decides.
        git: leave out what git does: the scan then lists the files of `git ls-files -co --exclude-standard` that exist
            (and directories). That takes in each .gitignore, .git/info/exclude and core.excludesFile; keeps what is
            ignored but tracked; leaves out .git itself; lists a submodule or a repository in the repository without
            looking inside. Where the root lies in no repository, each one found below is treated by its own rules.
            Not followed: conditional includes (includeIf) in git's configuration, GIT_DIR and its like.
        ignore_case: match the patterns without regard to the case of ASCII letters (git's own go by core.ignoreCase).

    Raises TypeError or ValueError for patterns that are none.
    """

    patterns: tuple[str | bytes, ...] = ()
    git: bool = False
    ignore_case: bool = False

    def __init__(self, patterns: Iterable[str | bytes] = (), *, git: bool = False, ignore_case: bool = False) -> None:
        if isinstance(patterns, (str, bytes)):
            raise TypeError(f"patterns is a list of patterns, not {patterns!r}: write [{patterns!r}]")
        listed = tuple(patterns)
        for pattern in listed:
            if not isinstance(pattern, (str, bytes)):
                raise TypeError(f"a pattern is str or bytes, not {pattern!r}")
            encoded = os.fsencode(pattern)
            if b"\n" in encoded or b"\0" in encoded:
                raise ValueError(f"a pattern is one line without zero bytes: {pattern!r}")
        object.__setattr__(self, "patterns", listed)
        object.__setattr__(self, "git", bool(git))
        object.__setattr__(self, "ignore_case", bool(ignore_case))

    @property
    def lines(self) -> bytes:
        """The patterns as a file has them."""
        return b"".join(os.fsencode(pattern) + b"\n" for pattern in self.patterns)


def require(ignore: object) -> Ignore | None:
    """What was given for `ignore=`. Raises TypeError or ValueError for what it cannot be."""
    if ignore is None or isinstance(ignore, Ignore):
        return ignore
    if ignore == "git":
        return Ignore(git=True)
    if isinstance(ignore, (str, bytes)):
        raise ValueError(f'ignore is "git" or a list of patterns: for one pattern, write [{ignore!r}]')
    if not isinstance(ignore, Iterable):
        raise TypeError(f'ignore is "git", a list of patterns or an Ignore, not {ignore!r}')
    return Ignore(ignore)


@dataclass(frozen=True, slots=True)
class GitFiles:
    """Where git's settings outside of any repository are (git-config(1), "FILES")."""

    home: bytes | None
    system_config: bytes | None
    user_config_xdg: bytes | None
    user_config: bytes | None
    default_excludes: bytes | None


def git_files() -> GitFiles:
    """The files as the environment names them now."""
    environment = os.environb
    home = environment.get(b"HOME") or None
    xdg = environment.get(b"XDG_CONFIG_HOME") or (home + b"/.config" if home else None)
    system: bytes | None = environment.get(b"GIT_CONFIG_SYSTEM") or b"/etc/gitconfig"
    if environment.get(b"GIT_CONFIG_NOSYSTEM", b"").lower() in (b"1", b"true", b"yes", b"on"):
        system = None
    excludes = xdg + b"/git/ignore" if xdg else None
    if (only := environment.get(b"GIT_CONFIG_GLOBAL")) is not None:
        return GitFiles(home, system, None, only or None, excludes)
    return GitFiles(
        home, system, xdg + b"/git/config" if xdg else None, home + b"/.gitconfig" if home else None, excludes
    )
