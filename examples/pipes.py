"""Pipes: popen, popen2, popen3 and popen4, by the shell and without it."""

from fastos import os

print("popen, read:")
with os.popen('echo "to stdout"', "r") as pipe_stdout:
    print("\tstdout:", repr(pipe_stdout.read()))

print("\npopen, write:", flush=True)
with os.popen("cat -", "w") as pipe_stdin:
    pipe_stdin.write("\tstdin: to stdin\n")

print("\npopen2:")
pipe_stdin, pipe_stdout = os.popen2("cat -")
with pipe_stdin:
    pipe_stdin.write("through stdin to stdout")
with pipe_stdout:
    print("\tpass through:", repr(pipe_stdout.read()))

print("\npopen3:")
pipe_stdin, pipe_stdout, pipe_stderr = os.popen3('cat -; echo ";to stderr" 1>&2')
with pipe_stdin:
    pipe_stdin.write("through stdin to stdout")
with pipe_stdout:
    print("\tpass through:", repr(pipe_stdout.read()))
with pipe_stderr:
    print("\tstderr:", repr(pipe_stderr.read()))

print("\npopen4:")
pipe_stdin, pipe_stdout_and_stderr = os.popen4('cat -; echo ";to stderr" 1>&2')
with pipe_stdin:
    pipe_stdin.write("through stdin to stdout")
with pipe_stdout_and_stderr:
    print("\tcombined output:", repr(pipe_stdout_and_stderr.read()))

print("\npopen2, cmd as sequence:")
pipe_stdin, pipe_stdout = os.popen2(["cat", "-"])
with pipe_stdin:
    pipe_stdin.write("through stdin to stdout")
with pipe_stdout:
    print("\tpass through:", repr(pipe_stdout.read()))

print("\nexit status:", os.popen("exit 3").close())
