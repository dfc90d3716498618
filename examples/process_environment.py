"""Process environment: a variable, seen by this process and by its children."""

import fastos
from fastos import os


def show(title: str) -> None:
    print(title, os.environ.get("TESTVAR"))
    print("Child process:", flush=True)
    os.system("echo $TESTVAR")
    print()


show("Initial value:")

os.environ["TESTVAR"] = "THIS VALUE WAS CHANGED"
show("Changed value:")

del os.environ["TESTVAR"]
show("Removed value:")

with fastos.environment(TESTVAR="FOR THIS BLOCK"):
    show("In the block:")
show("After the block:")
