"""Running external commands: system, and what to prefer to it."""

import tempfile

import fastos
from fastos import os

with tempfile.TemporaryDirectory() as scratch, fastos.working_directory(scratch):
    open("a file", "w").close()

    # Simple command
    os.system("ls -1")

    # Command with shell expansion
    with fastos.environment(DIRECTORY=scratch):
        os.system('test -d "$DIRECTORY" && echo "it is a directory"')

    # The status: the exit code in the high byte, the signal that ended it in the low one.
    status = os.system("exit 3")
    print("Status:", status, "exit code:", os.waitstatus_to_exitcode(status), flush=True)

    # In the background: the shell ends at once, and the pipe when the command in the background does.
    with os.popen("(sleep 0.2; echo background) & echo foreground") as pipe:
        print(pipe.read(), end="")
