"""The public names: each resolves, and type checkers see the same ones."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fastos


@pytest.mark.parametrize("name", fastos._HOME)
def test_every_name_resolves(name: str) -> None:
    assert getattr(fastos, name) is getattr(fastos, name)


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(fastos.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname: f"{node.module}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {name: f"fastos.{module}" for name, module in fastos._HOME.items()}


def test_import_is_quiet() -> None:
    """No thread, and none of the modules that only some users need."""
    code = (
        "import sys, threading, fastos\n"
        "heavy = {'asyncio', 'subprocess', 'anyio', 'rich', 'msgspec', 'concurrent.futures'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert threading.active_count() == 1\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        fastos.nothing  # noqa: B018
