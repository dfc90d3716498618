"""Waiting for children: for any, for one, and with what it used."""

from fastos import os


def start(code: int) -> int:
    pid = os.fork()
    if pid == 0:
        os._exit(code)
    return pid


workers = {start(i): i for i in range(3)}
statuses = []
for _ in range(3):
    pid, status = os.wait()
    statuses.append((workers.pop(pid), status))
print("wait:", sorted(statuses))

workers = {start(i): i for i in range(3)}
for pid, i in workers.items():
    done, status = os.waitpid(pid, 0)
    print("waitpid:", i, done == pid, status)

pid = start(4)
done, status, usage = os.wait3(0)
print("wait3:", done == pid, status, "maximum memory is known:", usage.ru_maxrss > 0)

pid = start(5)
done, status, usage = os.wait4(pid, 0)
print("wait4:", done == pid, status, "seconds of CPU:", usage.ru_utime + usage.ru_stime < 60)
