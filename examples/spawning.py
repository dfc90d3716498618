"""Spawn: fork, exec and the wait in one call."""

from fastos import os

# P_WAIT: the exit code comes back.
code = os.spawnlp(os.P_WAIT, "echo", "echo", "hello from a spawned program")
print("Exit code:", code, flush=True)

# P_NOWAIT: the pid comes back, and both go on.
pid = os.spawnlpe(os.P_NOWAIT, "sh", "sh", "-c", 'exit "$CODE"', {"CODE": "7", "PATH": os.environ["PATH"]})
done, status = os.waitpid(pid, 0)
print("The same child:", done == pid, "exit code:", os.waitstatus_to_exitcode(status))

print("Not there:", os.spawnv(os.P_WAIT, "/no/such/program", ["program"]))
