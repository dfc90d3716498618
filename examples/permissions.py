"""File system permissions: access, stat, chmod, on a file of its own."""

import stat
import tempfile
import time

from fastos import os

with tempfile.TemporaryDirectory() as directory:
    filename = os.path.join(directory, "example.txt")
    with open(filename, "w") as f:
        f.write("contents")
    os.chmod(filename, 0o644)

    print("Exists:", os.access(filename, os.F_OK))
    print("Readable:", os.access(filename, os.R_OK))
    print("Writable:", os.access(filename, os.W_OK))
    print("Executable:", os.access(filename, os.X_OK, effective_ids=True))

    stat_info = os.stat(filename)
    print("\tSize:", stat_info.st_size)
    print("\tPermissions:", oct(stat_info.st_mode))
    print("\tOwner:", stat_info.st_uid)
    print("\tDevice:", stat_info.st_dev)
    print("\tLast modified:", time.ctime(stat_info.st_mtime))

    existing_permissions = stat.S_IMODE(stat_info.st_mode)
    if not os.access(filename, os.X_OK):
        print("Adding execute permission")
        new_permissions = existing_permissions | stat.S_IXUSR
    else:
        print("Removing execute permission")
        new_permissions = existing_permissions ^ stat.S_IXUSR
    os.chmod(filename, new_permissions)
    print("Executable:", os.access(filename, os.X_OK))

    link_name = os.path.join(directory, "link")
    os.symlink("example.txt", link_name)
    print("The link points to:", os.readlink(link_name))
    print("It is a link:", stat.S_ISLNK(os.lstat(link_name).st_mode))
