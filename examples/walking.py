"""Walking a directory tree: a recursive listing of the directory given (default: the temporary directory)."""

import sys
import tempfile

from fastos import os

root = sys.argv[1] if len(sys.argv) > 1 else tempfile.gettempdir()

for dir_name, sub_dirs, files in os.walk(root):
    print(f"\n{dir_name}")
    # Make the subdirectory names stand out with /
    contents = sorted([f"{n}/" for n in sub_dirs] + files)
    for c in contents:
        print(f"\t{c}")
    # In this order whatever the file system's is.
    sub_dirs.sort()
