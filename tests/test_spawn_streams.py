"""spawn: standard streams, further descriptors, pseudo-terminals; nothing leaks."""

import errno
import fcntl
import itertools
import os
import resource
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastos
from spawned import CLOSED, REPORT_OPEN, SH, output, python, shell


def open_in_child(**options: object) -> set[int]:
    """The descriptors that a child has open."""
    code = (
        "import os, fcntl\n"
        "found = []\n"
        "for fd in range(300):\n"
        "    try: fcntl.fcntl(fd, fcntl.F_GETFD); found.append(fd)\n"
        "    except OSError: pass\n"
        "print(*found)"
    )
    return {int(word) for word in python(code, **options).split()}


# -- streams


def test_pipes_carry_both_ways() -> None:
    with fastos.spawn(["cat"], stdin=fastos.PIPE, stdout=fastos.PIPE) as process:
        process.stdin.write(b"text")
        process.stdin.close()
        assert process.stdout.read() == b"text"
        assert process.stderr is None
        assert process.pty is None


def test_stderr_alone_and_merged() -> None:
    script = "echo out; echo err >&2"
    with fastos.spawn([SH, "-c", script], stdout=fastos.DEVNULL, stderr=fastos.PIPE) as process:
        assert process.stderr.read() == b"err\n"
    assert shell(script, stderr=fastos.STDOUT) == "out\nerr"


def test_stderr_follows_an_inherited_stdout() -> None:
    code = "import fastos; fastos.spawn(['sh', '-c', 'echo err >&2'], stderr=fastos.STDOUT).wait()"
    assert output([sys.executable, "-c", code]) == "err\n"


def test_null() -> None:
    assert output(["cat"], stdin=fastos.DEVNULL) == ""
    assert fastos.spawn(["echo", "x"], stdout=fastos.DEVNULL).wait().code == 0


def test_files_and_descriptors(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("text")
    with open(tmp_path / "in") as source, open(tmp_path / "out", "w") as target:
        assert fastos.spawn(["cat"], stdin=source, stdout=target.fileno()).wait().code == 0
    assert (tmp_path / "out").read_text() == "text"


def test_one_file_for_all_streams(tmp_path: Path) -> None:
    with open(tmp_path / "file", "w+") as file:
        fastos.spawn([SH, "-c", "echo a; echo b >&2"], stdin=file, stdout=file, stderr=file).wait()
    assert (tmp_path / "file").read_text() == "a\nb\n"


def test_streams_are_swapped() -> None:
    """The child's stdout is our stderr and the other way round."""
    code = "import fastos; fastos.spawn(['sh', '-c', 'echo out; echo err >&2'], stdout=2, stderr=1).wait()"
    with fastos.spawn([sys.executable, "-c", code], stdout=fastos.PIPE, stderr=fastos.PIPE) as process:
        assert process.stdout.read() == b"err\n"
        assert process.stderr.read() == b"out\n"


@pytest.mark.parametrize("options", [{"stdin": fastos.STDOUT}, {"stdout": fastos.STDOUT}, {"stdin": -17}])
def test_streams_that_are_none(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"std(in|out)"):
        fastos.spawn(["true"], **options)


@pytest.mark.native
def test_a_closed_descriptor_is_named() -> None:
    with pytest.raises(fastos.SpawnError) as caught:
        fastos.spawn(["true"], stdout=250)
    assert (caught.value.step, caught.value.errno) == ("dup2(1)", errno.EBADF)


@pytest.mark.native
def test_no_descriptors_left_for_a_pipe() -> None:
    code = (
        "import errno, fastos, os, resource\n"
        "fastos.spawn(['true']).wait()\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))\n"
        "held = []\n"
        "try:\n"
        "    while True: held.append(os.dup(0))\n"
        "except OSError: pass\n"
        "for spare in range(5):\n"
        "    try: fastos.spawn(['true'], stdin=fastos.PIPE, stdout=fastos.PIPE, stderr=fastos.DEVNULL)\n"
        "    except fastos.SpawnError as error: print(error.step, error.errno == errno.EMFILE)\n"
        "    os.close(held.pop())\n"
    )
    lines = output([sys.executable, "-c", code]).splitlines()
    assert lines[0] == "open(stdin) True"
    assert "open(stderr) True" in lines


@pytest.mark.parametrize("closed", CLOSED)
def test_streams_closed_in_the_parent(closed: tuple[int, ...], tmp_path: Path) -> None:
    """In every combination, the child's pipes are still its own, and the others stay closed."""
    code = (
        "import fastos, os, sys\n"
        f"for fd in {closed!r}: os.close(fd)\n"
        "p = fastos.spawn(['cat'], stdin=fastos.PIPE, stdout=fastos.PIPE, stderr=fastos.DEVNULL)\n"
        "p.stdin.write(b'text'); p.stdin.close()\n"
        "assert p.stdout.read() == b'text'\n"
        "assert p.wait().code == 0; p.close()\n"
        "if 1 in %r:\n"
        "    p = fastos.spawn(['sh', '-c', '(echo x) 2>&2'], stdout=fastos.PIPE)\n"
        "    assert p.stdout.read() == b'x\\n'; p.wait(); p.close()\n"
        "open(sys.argv[1], 'w').write('done')\n" % (closed,)
    )
    done = tmp_path / "done"
    assert fastos.spawn([sys.executable, "-c", code, done]).wait().code == 0
    assert done.read_text() == "done"


@pytest.mark.native
@pytest.mark.parametrize("closed", CLOSED)
def test_what_is_closed_here_is_closed_there(closed: tuple[int, ...], tmp_path: Path) -> None:
    report = tmp_path / "report"
    code = (
        "import fastos, os, sys\n"
        f"for fd in {closed!r}: os.close(fd)\n"
        "fastos.spawn([sys.executable, '-I', '-S', '-c', sys.argv[1], sys.argv[2]]).wait()\n"
    )
    outer = fastos.spawn([sys.executable, "-c", code, REPORT_OPEN, report], stderr=fastos.DEVNULL)
    assert outer.wait().code == 0
    assert report.read_text() == repr([fd for fd in range(3) if fd not in closed])


# -- further descriptors


@pytest.fixture
def pipes() -> Iterator[list[int]]:
    """Three pipes with a letter in each: their reading ends."""
    reading = []
    for letter in b"abc":
        r, w = os.pipe()
        os.write(w, bytes([letter]))
        os.close(w)
        reading.append(r)
    yield reading
    for fd in reading:
        os.close(fd)


READ = "import os, sys; print(*[os.read(int(fd), 1).decode() for fd in sys.argv[1:]])"


def read_in_child(numbers: list[int], **options: object) -> str:
    return output([sys.executable, "-I", "-S", "-c", READ, *map(str, numbers)], **options).strip()


def test_descriptor_kept_at_its_number(pipes: list[int]) -> None:
    assert not os.get_inheritable(pipes[0])
    assert read_in_child(pipes[:1], fds=pipes[:1]) == "a"
    assert read_in_child(pipes[1:2], fds={pipes[1]: pipes[1]}) == "b"


@pytest.mark.native
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_every_permutation(pipes: list[int], order: tuple[int, ...]) -> None:
    fds = {pipes[target]: pipes[source] for target, source in enumerate(order)}
    assert read_in_child(pipes, fds=fds) == " ".join("abc"[source] for source in order)


@pytest.mark.native
def test_one_descriptor_at_many_numbers(pipes: list[int]) -> None:
    numbers = [50, 3, 4, 200]
    code = "import os; print(len({os.fstat(fd).st_ino for fd in (50, 3, 4, 200)}))"
    assert python(code, fds=dict.fromkeys(numbers, pipes[0])) == "1"


@pytest.mark.native
def test_descriptors_as_streams(pipes: list[int]) -> None:
    assert read_in_child([0], fds={0: pipes[2]}) == "c"
    with pytest.raises(ValueError, match="0 is set by"):
        fastos.spawn(["true"], stdin=fastos.DEVNULL, fds={0: pipes[0]})


@pytest.mark.native
def test_streams_from_descriptors_that_others_overwrite(pipes: list[int]) -> None:
    a, b, c = pipes
    assert read_in_child([0, a, b], stdin=a, fds={a: b, b: c}) == "a b c"


@pytest.mark.native
def test_a_cycle_through_the_streams() -> None:
    """0 -> 5, 5 -> 0, and a temporary number must not be one that is still to be made."""
    r, w = os.pipe()
    try:
        os.write(w, b"x")
        targets = dict.fromkeys(range(3, 40), r)
        assert python("import os; print(os.read(39, 1), os.fstat(3) == os.fstat(38))", fds=targets) == "b'x' True"
    finally:
        os.close(r)
        os.close(w)


@pytest.mark.parametrize("fds", [{3: -1}, {-1: 3}, [-1]])
def test_descriptors_that_are_none(fds: object) -> None:
    with pytest.raises(ValueError, match="not a descriptor"):
        fastos.spawn(["true"], fds=fds)


def test_nothing_leaks_even_if_inheritable() -> None:
    held = [os.dup(1) for _ in range(20)]
    high = fcntl.fcntl(1, fcntl.F_DUPFD, 250)
    try:
        for fd in [*held, high]:
            os.set_inheritable(fd, True)
        assert open_in_child() == {0, 1, 2}
        assert open_in_child(fds=[high]) == {0, 1, 2, high}
        assert open_in_child(stdin=fastos.PIPE, stderr=fastos.DEVNULL) == {0, 1, 2}
    finally:
        for fd in [*held, high]:
            os.close(fd)


@pytest.mark.native
def test_keeping_descriptors_as_fork_does() -> None:
    """For the drop-ins: close_fds=False."""
    from fastos import _spawn

    fd = fcntl.fcntl(1, fcntl.F_DUPFD, 100)
    try:
        request = _spawn.prepare([SH, "-c", "[ -e /proc/self/fd/100 ]"], keep_descriptors=True)
        assert _spawn.Process(request, None).wait().code == 0
        request = _spawn.prepare([SH, "-c", "[ -e /proc/self/fd/100 ]"])
        assert _spawn.Process(request, None).wait().code == 1
    finally:
        os.close(fd)


@pytest.mark.native
def test_many_descriptors() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))
    held = [os.dup(1) for _ in range(min(hard, 20_000) - 200)]
    try:
        os.set_inheritable(held[-1], True)
        assert open_in_child(stdin=fastos.PIPE) == {0, 1, 2}
        assert fastos.spawn(["test", "!", "-e", f"/proc/self/fd/{held[-1]}"]).wait().code == 0
    finally:
        os.closerange(held[0], held[-1] + 1)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_locks_of_the_parent_stay(tmp_path: Path) -> None:
    """POSIX locks belong to the table of descriptors, which the child shares for a moment."""
    path = tmp_path / "lock"
    with open(path, "w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        fastos.spawn(["true"]).wait()
        code = (
            "import fcntl, sys\n"
            "try: fcntl.lockf(open(sys.argv[1], 'w'), fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
            "except BlockingIOError: print('locked')"
        )
        assert output([sys.executable, "-c", code, path]) == "locked\n"


# -- pseudo-terminals


@pytest.mark.native
def test_pty_is_the_controlling_terminal() -> None:
    options = {"stdin": fastos.PTY, "stdout": fastos.PTY, "stderr": fastos.PTY}
    with fastos.spawn([SH, "-c", "tty; echo > /dev/tty; ps -o sid= -p $$; echo $$; stty size"], **options) as process:
        lines = process.pty.read().decode().split()
    assert lines[0].startswith("/dev/pts/")
    assert lines[1] == lines[2] == str(process.pid)
    assert lines[3:] == ["24", "80"]


@pytest.mark.native
def test_pty_has_a_size_and_takes_another() -> None:
    script = "trap 'stty size; exit' WINCH; stty size; while :; do sleep 0.01; done"
    with fastos.spawn([SH, "-c", script], stdin=fastos.PTY(7, 33), stdout=fastos.PTY(7, 33)) as process:
        assert process.pty.read(100) == b"7 33\r\n"
        process.resize(8, 44)
        assert process.pty.read() == b"8 44\r\n"
    with fastos.spawn(["true"]) as process, pytest.raises(ValueError, match="no pseudo-terminal"):
        process.resize(1, 1)


@pytest.mark.native
def test_pty_sends_what_is_typed() -> None:
    with fastos.spawn(["cat"], stdin=fastos.PTY, stdout=fastos.PIPE) as process:
        process.pty.write(b"text\n\x04")
        assert process.stdout.read() == b"text\n"


@pytest.mark.native
def test_pty_interrupts() -> None:
    script = "trap 'exit 9' INT; echo ready; while :; do sleep 0.01; done"
    with fastos.spawn([SH, "-c", script], stdin=fastos.PTY, stdout=fastos.PIPE) as process:
        process.stdout.readline()
        process.pty.write(b"\x03")
        assert process.wait().code == 9


@pytest.mark.native
def test_controlling_terminal_from_a_descriptor() -> None:
    master, slave = os.openpty()
    try:
        for stdin, terminal in ((slave, True), (None, slave)):
            assert shell("ps -o tty= -p $$", stdin=stdin, controlling_tty=terminal) == os.ttyname(slave)[5:]
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.native
def test_controlling_terminal_that_is_none() -> None:
    with pytest.raises(fastos.SpawnError) as caught:
        fastos.spawn(["true"], stdin=fastos.DEVNULL, controlling_tty=0, stdout=fastos.DEVNULL, new_session=True)
    assert caught.value.step == "controlling_tty"
    with pytest.raises(ValueError, match="controlling_tty"):
        fastos.spawn(["true"], stdin=fastos.PIPE, controlling_tty=True)


@pytest.mark.parametrize("size", [(-1, 80), (24, 65536)])
def test_pty_size_is_checked(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="between 0 and 65535"):
        fastos.PTY(*size)


def test_streams_are_the_same_object_for_all_threads() -> None:
    with fastos.spawn(["cat"], stdin=fastos.PIPE, stdout=fastos.PIPE) as process:
        found = []
        threads = [threading.Thread(target=lambda: found.append(process.stdout)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(map(id, found))) == 1
