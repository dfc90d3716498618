"""Small trees for the tests, and what os.walk says of them."""

import os
from pathlib import Path


def plant(root: Path, depth: int = 3, width: int = 3, content: bytes = b"") -> int:
    """Directories of `width` files and, down to `depth`, as many directories. Returns the entries made."""
    made = 0
    for number in range(width):
        (root / f"file{number}").write_bytes(content * number)
        made += 1
        if depth > 0:
            below = root / f"directory{number}"
            below.mkdir()
            made += 1 + plant(below, depth - 1, width)
    return made


def walked(root: "str | bytes | Path", followlinks: bool = False) -> list:
    """All paths below the root by os.walk, sorted by bytes."""
    top = os.fspath(root)
    found = [
        os.path.join(directory, name)
        for directory, directories, files in os.walk(top, followlinks=followlinks)
        for name in directories + files
    ]
    return sorted(found, key=os.fsencode)
