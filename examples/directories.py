"""Directories: making, listing and removing them, one level and several."""

import tempfile

import fastos
from fastos import os

with tempfile.TemporaryDirectory() as scratch, fastos.working_directory(scratch):
    dir_name = "os_directories_example"
    print("Creating", dir_name)
    os.makedirs(dir_name)

    file_name = os.path.join(dir_name, "example.txt")
    print("Creating", file_name)
    with open(file_name, "w") as f:
        f.write("example file")

    print("Listing", dir_name)
    print(os.listdir(dir_name))

    print("Cleaning up")
    os.unlink(file_name)
    os.rmdir(dir_name)

    # mkdir makes the last directory of a path, makedirs all of them; rmdir and removedirs are the way back.
    open("stays.txt", "w").close()
    os.makedirs("a/b/c")
    os.removedirs("a/b/c")
    print("Left:", os.listdir("."))
