"""Creating processes with fork: parent and child, a signal between them, another program by exec."""

import signal

from fastos import os

child_pid = os.fork()
if child_pid:
    os.waitpid(child_pid, 0)
    print("Child process id is positive:", child_pid > 0, flush=True)
else:
    print("I am the child", flush=True)
    os._exit(0)

# A signal. The child says through a pipe when its handler is set: no pause has to be guessed.
ready, tell = os.pipe()
child_pid = os.fork()
if child_pid:
    os.close(tell)
    os.read(ready, 1)
    print("PARENT: Signaling the child", flush=True)
    os.kill(child_pid, signal.SIGUSR1)
    os.waitpid(child_pid, 0)
else:
    received = []
    signal.signal(signal.SIGUSR1, lambda signum, frame: received.append(signum))
    # Until it is waited for, the signal is held back.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    print("CHILD: Pausing to wait for signal", flush=True)
    os.write(tell, b"x")
    signal.sigwait([signal.SIGUSR1])
    print("CHILD: Received USR1", flush=True)
    os._exit(0)

# Another program in place of the child.
child_pid = os.fork()
if child_pid:
    os.waitpid(child_pid, 0)
else:
    os.execlp("echo", "echo", "I am another program")
