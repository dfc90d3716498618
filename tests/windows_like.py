"""Makes the interpreter look like one on Windows, as far as fastos can see; run by test_windows.py.

What Windows does not have is taken out of os and signal, and the modules that it lacks cannot be imported. The standard
library's own modules are imported first, with their references intact: it is our code that must do without.
"""

import asyncio
import concurrent.futures
import importlib.abc
import os
import shutil
import signal
import subprocess
import sys
import tempfile

PRELOADED = (asyncio, concurrent.futures, shutil, subprocess, tempfile)

# The functions that the documentation of os marks as available on Windows.
WINDOWS_FUNCTIONS = """
abort access chdir chmod close closerange cpu_count device_encoding dup dup2 execl execle execlp execlpe execv execve
execvp execvpe fdopen fsdecode fsencode fspath fstat fsync ftruncate get_exec_path get_handle_inheritable
get_inheritable get_terminal_size getcwd getcwdb getenv getlogin getpid getppid isatty kill link listdir lseek lstat
makedirs mkdir open pipe popen putenv read readlink remove removedirs rename renames replace rmdir scandir
set_inheritable spawnl spawnle spawnv spawnve stat strerror symlink system times truncate umask unlink unsetenv
urandom utime waitpid waitstatus_to_exitcode walk write
"""

WINDOWS_OTHERS = """
DirEntry PathLike environ error name path sep altsep pathsep linesep curdir pardir extsep defpath devnull
stat_result terminal_size times_result uname_result abc st sys MutableMapping GenericAlias Mapping
supports_bytes_environ supports_dir_fd supports_effective_ids supports_fd supports_follow_symlinks
F_OK R_OK W_OK X_OK O_APPEND O_CREAT O_EXCL O_RDONLY O_RDWR O_TRUNC O_WRONLY P_NOWAIT P_NOWAITO P_WAIT
SEEK_SET SEEK_CUR SEEK_END TMP_MAX EX_OK
"""

WINDOWS_SIGNALS = "SIGABRT SIGFPE SIGILL SIGINT SIGSEGV SIGTERM SIG_DFL SIG_IGN NSIG"

MISSING_MODULES = {
    *("posix", "fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "syslog", "crypt", "nis", "readline"),
    *("spwd", "ossaudiodev", "_posixsubprocess", "_posixshmem", "fastos._native", "_cffi_backend", "cffi"),
}


class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name in MISSING_MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def take_out() -> None:
    kept = {*WINDOWS_FUNCTIONS.split(), *WINDOWS_OTHERS.split()}
    os.supports_dir_fd = set()
    os.supports_effective_ids = set()
    os.supports_fd = {os.stat, os.truncate}
    os.supports_follow_symlinks = {os.stat}
    os.supports_bytes_environ = False
    subprocess._USE_POSIX_SPAWN = False  # the standard library's own way on POSIX needs more of os
    for name in dir(os):
        if not name.startswith("_") and name not in kept:
            delattr(os, name)
    os.__all__ = [name for name in os.__all__ if hasattr(os, name)]
    for name in dir(signal):
        if name.startswith("SIG") and name not in WINDOWS_SIGNALS.split():
            delattr(signal, name)
    for name in ("pthread_sigmask", "pthread_kill", "sigwait", "sigtimedwait", "sigwaitinfo", "setitimer", "alarm"):
        if hasattr(signal, name):
            delattr(signal, name)
    for name in MISSING_MODULES:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, Absent())


def check_names() -> None:
    """Every public name can be had, or says in a NotImplementedError what it is that the platform lacks."""
    import fastos

    for names in fastos._MODULES.values():
        for name in names:
            try:
                getattr(fastos, name)
            except NotImplementedError as reason:
                if not str(reason):
                    raise AssertionError(f"fastos.{name} does not say what is missing") from reason


def check_scan(root: str) -> None:
    import fastos

    expected = sorted(os.path.join(where, name) for where, below, files in os.walk(root) for name in (*below, *files))
    assert sorted(fastos.scan(root).paths()) == expected
    sizes = {entry.name: entry.size for entry in fastos.scan(root, fields=("size",)) if entry.type == "file"}
    assert sizes == {"a.txt": 3, "b.txt": 5, "c.txt": 0}, sizes
    found = list(fastos.scan(root, where=fastos.field.size > 3, sort=True).paths())
    assert os.path.join(root, "one", "b.txt") in found, found


def check_walk(root: str) -> None:
    import fastos

    assert sorted(fastos.walk(root)) == sorted(os.walk(root))


def check_du(root: str) -> None:
    import fastos

    assert fastos.du(root, apparent=True).total >= 8


def check_run(root: str) -> None:
    import fastos

    done = fastos.run([sys.executable, "-c", "print(6 * 7)"], capture=True, text=True, cwd=root)
    assert (done.returncode, done.stdout.strip()) == (0, "42"), done
    commands = [[sys.executable, "-c", f"print({number})"] for number in range(3)]
    assert sorted(int(done.stdout) for done in fastos.run_many(commands, jobs=2)) == [0, 1, 2]


def check_spawn(root: str) -> None:
    import fastos

    with fastos.spawn([sys.executable, "-c", "raise SystemExit(3)"], cwd=root) as process:
        assert process.wait().code == 3


def check_supervise(root: str) -> None:
    """Services are plain data anywhere; what supervises them says what it needs."""
    import fastos

    service = fastos.Service("one", [sys.executable, "-c", "pass"])
    said = ""
    try:
        fastos.Supervisor([service])
    except NotImplementedError as reason:
        said = str(reason)
    assert said.startswith("supervision needs "), said


def check_commands(root: str) -> None:
    """Every sub-command describes itself."""
    import contextlib
    import io

    from fastos import cli

    for arguments in (["--help"], *([name, "--help"] for name in cli.COMMANDS)):
        with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
            cli.main(arguments)
        assert "usage: fastos" in said.getvalue(), arguments


def main() -> None:
    check, root = sys.argv[1:]
    take_out()
    if check == "names":
        check_names()
    else:
        globals()[f"check_{check}"](root)
    print("done")


if __name__ == "__main__":
    main()
