"""Process working directory: one up, and one down for a block of code."""

import fastos
from fastos import os

print("Starting:", os.getcwd())

print("Moving up one:", os.pardir)
os.chdir(os.pardir)

print("After move:", os.getcwd())

with fastos.working_directory("/") as inside:
    print("In the block:", inside)
print("After the block:", os.getcwd())
