"""Every example runs, and prints what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the examples are of POSIX systems")

FULL = {
    "process_environment": (
        "Initial value: None\nChild process:\n\n\n"
        "Changed value: THIS VALUE WAS CHANGED\nChild process:\nTHIS VALUE WAS CHANGED\n\n"
        "Removed value: None\nChild process:\n\n\n"
        "In the block: FOR THIS BLOCK\nChild process:\nFOR THIS BLOCK\n\n"
        "After the block: None\nChild process:\n\n\n"
    ),
    "pipes": (
        "popen, read:\n\tstdout: 'to stdout\\n'\n"
        "\npopen, write:\n\tstdin: to stdin\n"
        "\npopen2:\n\tpass through: 'through stdin to stdout'\n"
        "\npopen3:\n\tpass through: 'through stdin to stdout'\n\tstderr: ';to stderr\\n'\n"
        "\npopen4:\n\tcombined output: 'through stdin to stdout;to stderr\\n'\n"
        "\npopen2, cmd as sequence:\n\tpass through: 'through stdin to stdout'\n"
        "\nexit status: 768\n"
    ),
    "directories": (
        "Creating os_directories_example\nCreating os_directories_example/example.txt\n"
        "Listing os_directories_example\n['example.txt']\nCleaning up\nLeft: ['stays.txt']\n"
    ),
    "external_commands": "a file\nit is a directory\nStatus: 768 exit code: 3\nforeground\nbackground\n",
    "forking": (
        "I am the child\nChild process id is positive: True\n"
        "CHILD: Pausing to wait for signal\nPARENT: Signaling the child\nCHILD: Received USR1\n"
        "I am another program\n"
    ),
    "waiting": (
        "wait: [(0, 0), (1, 256), (2, 512)]\n"
        "waitpid: 0 True 0\nwaitpid: 1 True 256\nwaitpid: 2 True 512\n"
        "wait3: True 1024 maximum memory is known: True\nwait4: True 1280 seconds of CPU: True\n"
    ),
    "spawning": ("hello from a spawned program\nExit code: 0\nThe same child: True exit code: 7\nNot there: 127\n"),
}
PARTIAL = {"process_owner", "working_directory", "permissions", "walking"}


def run(name: str, *arguments: str, cwd: Path | None = None) -> str:
    variables = {key: value for key, value in os.environ.items() if key != "TESTVAR"}
    # The package as this interpreter finds it, whatever the working directory.
    command = [sys.executable, "-W", "error", EXAMPLES / f"{name}.py", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60, cwd=cwd, env=variables, check=True)
    return done.stdout


def test_every_example_is_checked() -> None:
    seed = {path.stem for path in EXAMPLES.glob("*.py") if "from fastos import os" in path.read_text()}
    assert seed | {"process_owner"} == set(FULL) | PARTIAL


@pytest.mark.parametrize("name", FULL)
def test_output(name: str) -> None:
    assert run(name) == FULL[name]


def test_working_directory(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    below = (tmp_path / "below").resolve()
    assert run("working_directory", cwd=below) == (
        f"Starting: {below}\nMoving up one: ..\nAfter move: {below.parent}\n"
        f"In the block: /\nAfter the block: {below.parent}\n"
    )


def test_permissions() -> None:
    output = run("permissions")
    assert "Exists: True\nReadable: True\nWritable: True\nExecutable: False\n\tSize: 8\n" in output
    assert f"\tPermissions: 0o100644\n\tOwner: {os.geteuid()}\n" in output
    assert output.endswith(
        "Adding execute permission\nExecutable: True\nThe link points to: example.txt\nIt is a link: True\n"
    )


def test_walking(tmp_path: Path) -> None:
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "a.txt").touch()
    (tmp_path / "b" / "d.txt").touch()
    root = str(tmp_path)
    assert run("walking", root) == f"\n{root}\n\ta.txt\n\tb/\n\n{root}/b\n\tc/\n\td.txt\n\n{root}/b/c\n"


def test_process_owner_as_an_ordinary_user_says_why() -> None:
    # All that it needs is loaded before root is given up: an ordinary user may not be able to read this directory.
    code = (
        "import os, sys, grp, pwd, fastos.owner\n"
        "fastos.owner.current()\n"
        "source = open(sys.argv.pop(1)).read()\n"
        "if os.geteuid() == 0: os.setgroups([]), os.setresgid(5, 5, 5), os.setresuid(54321, 54321, 54321)\n"
        "exec(source)\n"
    )
    command = [sys.executable, "-c", code, EXAMPLES / "process_owner.py"]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout
    assert re.search(r"ERROR: .*acting_as: only root can change effective ids and groups", output)


@pytest.mark.root
def test_process_owner_as_root() -> None:
    import pwd

    nobody = pwd.getpwnam("nobody")
    before, inside, after = run("process_owner").split("\n\n")
    assert before.removeprefix("BEFORE CHANGE:\n") == after.removeprefix("AFTERWARDS:\n").rstrip("\n")
    assert inside.startswith(
        f"CHANGED USER:\nEffective User  : {nobody.pw_uid}\nEffective Group : {nobody.pw_gid}\nActual User     : 0"
    )
