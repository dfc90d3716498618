"""What is ignored is what git ignores: every case is put to git itself."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastos._ignore import Ignore, require

pytestmark = pytest.mark.native

FILE, GIT = 1, 2


@pytest.fixture(autouse=True)
def settings_of_nobody(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """git's settings come from an empty home."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return home


def git(directory: Path, *arguments: str) -> bytes:
    command = ["git", "-c", "init.defaultBranch=main", "-c", "user.name=n", "-c", "user.email=e@e", *arguments]
    return subprocess.run(command, cwd=directory, check=True, capture_output=True).stdout


def listed_by_git(directory: Path) -> set[bytes]:
    """The files that git lists, as far as they exist; a repository inside without its slash."""
    output = git(directory, "ls-files", "-co", "--exclude-standard", "-z")
    names = {name.rstrip(b"/") for name in output.split(b"\0") if name}
    return {name for name in names if os.path.lexists(os.path.join(os.fsencode(directory), name))}


def walk(ignore: Ignore, root: Path) -> Iterator[tuple[bytes, bool]]:
    """Every entry that is not ignored, and whether it is one of git's: a file, or a repository inside."""
    from fastos._backend.native import ffi, lib
    from fastos._backend.native_ignore import root_context

    def visit(context: object, path: bytes) -> Iterator[tuple[bytes, bool]]:
        with os.scandir(os.path.join(os.fsencode(root), path)) as entries:
            children = sorted(entries, key=lambda entry: entry.name)
        for entry in children:
            is_directory = entry.is_dir(follow_symlinks=False)
            answer = lib.fo_ignore_match(context, path, len(path), entry.name, len(entry.name), is_directory)
            assert answer in (0, 1)
            if answer:
                continue
            below = os.path.join(path, entry.name)
            if not is_directory:
                yield below, True
                continue
            fd = os.open(entry.path, os.O_RDONLY | os.O_DIRECTORY)
            out = ffi.new("struct fo_ignore **")
            try:
                entered = lib.fo_ignore_enter(context, fd, below, len(below), FILE | GIT, out)
            finally:
                os.close(fd)
            assert entered in (0, 1)
            yield below, entered == 1
            if entered == 0:
                yield from visit(out[0], below)
                lib.fo_ignore_release(out[0])

    context = root_context(ignore, os.fsencode(os.path.realpath(root)))
    yield from visit(context, b"")


def listed_by_us(root: Path, ignore: Ignore | None = None) -> set[bytes]:
    return {path for path, whole in walk(ignore or Ignore(git=True), root) if whole}


def write(root: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def repository(root: Path, files: dict[str, str | bytes]) -> Path:
    root.mkdir(exist_ok=True)
    git(root, "init", "-q")
    write(root, files)
    return root


def agree(root: Path) -> set[bytes]:
    """Asserts that both list the same, and returns it."""
    ours = listed_by_us(root)
    assert ours == listed_by_git(root)
    return ours


# -- patterns, asked of git

TREE = [
    "a", "b", "c.o", "ab", "#c", "!d", "e ", "f\\", "x[y", "-", "]", "é", "A", "foo", "Foo.O", "a.b.o",
    "a b", "*", "foo.c", "zz/a", "zz/b", "zz/c.o", "zz/foo/a", "zz/foo/b.o", "zz/zz/a", "zz/zz/foo/c.o", "foo.d/a",
    "foo.d/x/b", "bar/foo/a", "bar/foo/x/a", "bar/b", "afoo/a", "zfoobar/a/b",
]  # fmt: skip
words = st.sampled_from(
    [
        "a",
        "b",
        "foo",
        "zz",
        "bar",
        "*",
        "**",
        "?",
        "*.o",
        "foo*",
        "[ab]",
        "[!a]",
        "[^a-f]",
        "[[:alpha:]]",
        "[]-]",
        "[a",
        "\\",
        "\\#",
        "\\!",
        "#",
        "!",
        "x[[]y",
        "*o",
        "***",
        "[[:upper:]]*",
        "[[:bad:]]",
        "[[:x]",
        "**foo",
        "foo**",
        "f[o]o",
        "z**",
        "-",
        "\\*",
        "[\\]]",
        "[a\\-z]",
        "[--0]",
        ".",
        "A",
        "F*",
        "é",
        " ",
        "\\ ",
        "\t",
        "\r",
    ]
)
segments = st.lists(words, min_size=1, max_size=2).map("".join)
lines = st.tuples(
    st.sampled_from(["", "", "!", "/", "!/"]),
    st.lists(segments, min_size=1, max_size=3).map("/".join),
    st.sampled_from(["", "", "/", " ", "\\ ", "/**", "\r"]),
).map("".join)
ignore_files = st.lists(lines, min_size=1, max_size=5).map("\n".join)


@pytest.fixture(scope="module")
def shared_repository() -> Iterator[Path]:
    with TemporaryDirectory() as directory:
        yield repository(Path(directory), dict.fromkeys(TREE, ""))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    top=ignore_files,
    nested=st.sampled_from(["", "", "!*", "*", "!foo", "/a\n!/b", "foo/"]) | ignore_files,
    exclude=st.just("") | ignore_files,
    ignore_case=st.sampled_from([False, False, True]),
)
def test_any_ignore_files(shared_repository: Path, top: str, nested: str, exclude: str, ignore_case: bool) -> None:
    root = shared_repository
    write(root, {".gitignore": top, "zz/.gitignore": nested, ".git/info/exclude": exclude})
    git(root, "config", "core.ignorecase", str(ignore_case).lower())
    agree(root)


@pytest.mark.parametrize(
    "text",
    [
        "*.o\n!c.o",
        "\ufefffoo\nbar",
        "foo\r\nbar\r\n",
        "foo \nbar\\ \ne\\ ",
        "\\#c\n\\!d\n# a comment",
        "/zz/**/a",
        "zz/foo**/a",
        "a/foo**/bar",
        "**/foo/**",
        "zz/*\n!zz/foo\n!zz/foo/a",
        "*\n!*/\n!*.o",
        "foo/",
        "/foo*/",
        "bar/**/a",
        "x[[]y",
        "[[:alpha:]]",
        "zz",
        "no newline at the end*",
        "a\0b",
        "",
        "\n\n!\n/\n//\n",
        "*/foo",
        "z**/a",
        "zz/***/a",
    ],
)
def test_ignore_file(tmp_path: Path, text: str) -> None:
    agree(repository(tmp_path / "r", {**dict.fromkeys(TREE, ""), ".gitignore": text}))


def test_undecodable_names(tmp_path: Path) -> None:
    root = repository(tmp_path / "r", {".gitignore": b"\xff*\n[\x80-\x8f]x\n?\n"})
    for name in (b"\xffa", b"\x81x", b"\x91x", "é".encode(), b"\xe9"):
        (root / os.fsdecode(name)).touch()
    assert agree(root) == {b".gitignore", b"\x91x", "é".encode()}


# -- what else git looks at


def test_tracked_files_stay(tmp_path: Path) -> None:
    root = repository(tmp_path / "r", {"build/kept/a": "", "build/b": "", "x.o": "", "y.o": "", "build2/c": ""})
    git(root, "add", "-f", "build/kept/a", "x.o")
    write(root, {".gitignore": "build*\n*.o\n", "build/kept/new": "", "build/kept/.gitignore": "!*"})
    assert agree(root) == {b".gitignore", b"build/kept/a", b"x.o"}


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_index_formats(tmp_path: Path, version: int, object_format: str) -> None:
    root = tmp_path / "r"
    root.mkdir()
    git(root, "init", "-q", f"--object-format={object_format}")
    write(root, {f"d{number}/{'n' * number}.o": "" for number in range(40)})
    git(root, "add", "-f", ".")
    git(root, "update-index", "--index-version", str(version))
    if version >= 3:  # what needs the extended flags
        write(root, {"later.o": ""})
        git(root, "add", "-N", "-f", "later.o")
    write(root, {".gitignore": "*.o\n", "d1/untracked.o": ""})
    assert len(agree(root)) == 41 + (version >= 3)


def test_split_index_is_refused_in_plain_words(tmp_path: Path) -> None:
    root = repository(tmp_path / "r", {"a": ""})
    git(root, "add", "a")
    git(root, "update-index", "--split-index")
    with pytest.raises(NotImplementedError, match="--no-split-index"):
        listed_by_us(root)


def test_damaged_index(tmp_path: Path) -> None:
    root = repository(tmp_path / "r", {"a": "", ".git/index": "DIRC nonsense of some length, longer than a header"})
    with pytest.raises((OSError, NotImplementedError)):
        listed_by_us(root)


@pytest.mark.parametrize("where", ["home", "xdg", "default", "included", "repository"])
def test_excludes_file(tmp_path: Path, settings_of_nobody: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    root = repository(tmp_path / "r", {"a.mine": "", "b": "", "c.mine": "", ".gitignore": "!c.mine"})
    home = settings_of_nobody
    excludes = {"mine": "*.mine\n"}
    setting = '[core]\n\texcludesFile = "~/mine" ; where they are\n'
    if where == "home":
        write(home, {".gitconfig": setting, **excludes})
    elif where == "xdg":
        monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "x"))
        write(home, {"x/git/config": setting, **excludes})
    elif where == "default":
        write(home, {".config/git/ignore": "*.mine"})
    elif where == "included":
        write(home, {".gitconfig": "[include]\npath = other/more\n", "other/more": setting, **excludes})
    else:
        write(home, excludes)
        git(root, "config", "core.excludesFile", str(home / "mine"))
    assert agree(root) == {b".gitignore", b"b", b"c.mine"}


def test_excludes_file_in_the_home_of_somebody(tmp_path: Path) -> None:
    homes = [entry for entry in pwd.getpwall() if os.access(entry.pw_dir, os.X_OK)]
    root = repository(tmp_path / "root", {"a": "", "b": ""})
    write(tmp_path, {"excluded": "a\n"})
    way = os.path.relpath(tmp_path / "excluded", os.path.realpath(homes[-1].pw_dir))
    git(root, "config", "core.excludesFile", f"~{homes[-1].pw_name}/{way}")
    assert agree(root) == {b"b"}


def test_settings_included_from_elsewhere(tmp_path: Path) -> None:
    """A relative path is one from the file that it is in."""
    root = repository(tmp_path / "root", {"a": "", "b": ""})
    write(tmp_path, {"one/first": "[include]\npath = ../two/second\n", "two/second": "[include]\npath=third\n"})
    write(tmp_path, {"two/third": f"[core]\nexcludesFile={tmp_path}/excluded\n", "excluded": "a\n"})
    git(root, "config", "include.path", "../../one/first")
    assert agree(root) == {b"b"}


def test_settings_that_include_each_other(tmp_path: Path, settings_of_nobody: Path) -> None:
    root = repository(tmp_path / "r", {"a": ""})
    write(settings_of_nobody, {".gitconfig": "[include]\n" + "path = .gitconfig\n" * 100})
    with pytest.raises(OSError):
        listed_by_us(root)


def test_below_the_top(tmp_path: Path) -> None:
    root = repository(
        tmp_path / "r",
        {
            ".gitignore": "/x/y/a\n*.o\n",
            "x/.gitignore": "b\n",
            "x/y/a": "",
            "x/y/b": "",
            "x/y/c": "",
            "x/y/d.o": "",
            "x/y/z/a": "",
        },
    )
    assert agree(root / "x" / "y") == {b"c", b"z/a"}
    assert agree(root / "x") == {b".gitignore", b"y/c", b"y/z/a"}


def test_below_an_ignored_directory(tmp_path: Path) -> None:
    root = repository(tmp_path / "r", {"x/y/a": "", "x/y/b": ""})
    git(root, "add", "x/y/a")
    write(root, {".gitignore": "/x\n"})
    assert agree(root / "x" / "y") == {b"a"}


def test_repositories_inside(tmp_path: Path) -> None:
    root = repository(tmp_path / "r", {"a": "", "plain/.git/nothing": "", "plain/b": ""})
    repository(root / "inside", {"c": ""})
    (root / "deep").mkdir()
    repository(root / "deep" / "inside", {"d": ""})
    listed = listed_by_us(root)
    assert listed == listed_by_git(root)
    assert {b"a", b"inside", b"deep/inside", b"plain/b"} == listed


def test_submodule(tmp_path: Path) -> None:
    other = repository(tmp_path / "other", {"x": ""})
    git(other, "add", "x")
    git(other, "commit", "-qm", "x")
    root = repository(tmp_path / "r", {"a": ""})
    git(root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "sub")
    write(root, {"sub/new": "", ".gitignore": "sub\n"})
    assert agree(root) == {b"a", b"sub", b".gitignore", b".gitmodules"}
    assert agree(root / "sub") == {b"x", b"new"}


def test_worktree(tmp_path: Path) -> None:
    root = repository(tmp_path / "r", {"x.o": "", "y": ""})
    git(root, "add", "-f", "x.o", "y")
    git(root, "commit", "-qm", "x")
    git(root, "worktree", "add", "-q", str(tmp_path / "w"))
    write(root, {".git/info/exclude": "*.o\n"})
    write(tmp_path / "w", {"z.o": "", "n": ""})
    assert agree(tmp_path / "w") == {b"x.o", b"y", b"n"}


def test_links(tmp_path: Path) -> None:
    root = repository(tmp_path / "r", {"d/a": "", "real-ignore": "d\n", ".gitignore": "link/\nother\n", "e/f": ""})
    (root / "link").symlink_to("d")
    (root / "other").symlink_to("d")
    (root / "e" / ".gitignore").symlink_to("../real-ignore")
    agree(root)


def test_outside_of_any_repository(tmp_path: Path) -> None:
    write(tmp_path, {".gitignore": "*", "a.o": "", "p/.gitignore": "*"})
    repository(tmp_path / "p" / "one", {".gitignore": "/x/*.o\n", "x/a.o": "", "x/b": "", "a.o": ""})
    repository(tmp_path / "two", {".gitignore": "x", "x/a.o": "", "y": ""})
    assert listed_by_us(tmp_path) == {
        b".gitignore", b"a.o", b"p/.gitignore", b"p/one/.gitignore", b"p/one/x/b", b"p/one/a.o",
        b"two/.gitignore", b"two/y",
    }  # fmt: skip


def test_ignore_file_that_is_none(tmp_path: Path) -> None:
    root = repository(tmp_path / "r", {"a": "", "d/b": ""})
    (root / ".gitignore").mkdir()
    os.mkfifo(root / "d" / ".gitignore")
    assert listed_by_us(root) - {b"d/.gitignore"} == {b"a", b"d/b"}


# -- patterns of one's own


def test_patterns(tmp_path: Path) -> None:
    write(tmp_path, {"a.o": "", "keep.o": "", "build/x": "", "src/build/x": "", "src/a.O": ""})
    assert listed_by_us(tmp_path, Ignore(["*.o", "!keep.o", "/build/"])) == {b"keep.o", b"src/build/x", b"src/a.O"}
    assert listed_by_us(tmp_path, Ignore(["*.o", b"build"], ignore_case=True)) == set()


def test_patterns_go_before_git(tmp_path: Path) -> None:
    root = repository(tmp_path / "r", {"a.o": "", "b.o": "", "c.log": "", "d.log": "", "x/y/z": ""})
    git(root, "add", "d.log")
    write(root, {".gitignore": "*.o\n"})
    ignore = Ignore(["*.log", "!b.o", "x/y"], git=True)
    assert listed_by_us(root, ignore) == {b".gitignore", b"b.o"}
    assert listed_by_us(root / "x", ignore) == {b"y/z"}


def test_long_paths(tmp_path: Path) -> None:
    root = repository(tmp_path / "r", {".gitignore": "**/x/**/*.o\n"})
    fd = os.open(root, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("x" * 200, dir_fd=fd)
        inner = os.open("x" * 200, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    from fastos._backend.native import lib
    from fastos._backend.native_ignore import root_context

    context = root_context(Ignore(git=True), os.fsencode(root))
    directory = b"/".join([b"x" * 200] * 30 + [b"x"])
    assert lib.fo_ignore_match(context, directory, len(directory), b"a.o", 3, 0) == 1
    assert lib.fo_ignore_match(context, directory, len(directory), b"a.c", 3, 0) == 0
    shutil.rmtree(root)


@pytest.mark.parametrize(
    ("ignore", "error"),
    [("*.o", ValueError), (5, TypeError), ([5], TypeError), (["a\nb"], ValueError), (["a\0"], ValueError)],
)
def test_what_is_refused(ignore: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        require(ignore)


def test_what_is_taken() -> None:
    assert require(None) is None
    assert require("git") == Ignore(git=True)
    assert require(["*.o"]) == Ignore(["*.o"])
    with pytest.raises(TypeError, match="list"):
        Ignore("*.o")


# -- in a scan


def test_scan_lists_what_git_lists(tmp_path: Path) -> None:
    import fastos

    root = repository(
        tmp_path / "r", {f"d{a}/e{b}/f{c}.{c % 3}": "" for a in range(5) for b in range(5) for c in range(9)}
    )
    git(root, "add", "-f", "d1/e1")
    write(root, {".gitignore": "*.1\n/d1/\n", "d2/.gitignore": "!*.1\n*.2\n", "d3/e3/.gitignore": "*"})
    repository(root / "d4" / "inside", {"x": ""})
    for top in (root, root / "d1", root / "d2" / "e1"):
        with fastos.scan(os.fsencode(top), ignore="git", where=fastos.field.type != "directory", threads=4) as scan:
            found = {path[len(os.fsencode(top)) + 1 :] for path in scan.paths()}
        expected = listed_by_git(top) - {b"d4/inside"}
        assert found == expected


def test_scan_with_patterns(tmp_path: Path) -> None:
    import fastos

    write(tmp_path, {"a.o": "", "b": "", "x/a.o": "", "x/c": "", "y/d": ""})
    found = {entry.name for entry in fastos.scan(tmp_path, ignore=["*.o", "/y"])}
    assert found == {"b", "x", "c"}
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        assert {entry.name for entry in fastos.scan("x", dir_fd=fd, ignore=["*.o"])} == {"c"}
    finally:
        os.close(fd)


def test_scan_refuses_what_is_no_pattern(tmp_path: Path) -> None:
    import fastos

    with pytest.raises(ValueError, match="list"):
        fastos.scan(tmp_path, ignore="*.o")  # type: ignore[arg-type]
