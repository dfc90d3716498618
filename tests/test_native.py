"""The typed face of the compiled module is the compiled module."""

import ast
from pathlib import Path

import pytest

import fastos

STUB = Path(fastos.__file__).with_name("_native.pyi")


def declared() -> set[str]:
    classes = [node for node in ast.parse(STUB.read_text()).body if isinstance(node, ast.ClassDef)]
    body = next(node for node in classes if node.name == "_Lib").body
    functions = {node.name for node in body if isinstance(node, ast.FunctionDef)}
    constants = {
        node.target.id for node in body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    return functions | constants


@pytest.mark.native
def test_stub_equals_the_module() -> None:
    from fastos._backend.native import lib

    assert declared() == set(dir(lib))
