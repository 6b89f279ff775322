"""`help()` says in a sentence what the stubs say in full."""

import ast
import inspect
from pathlib import Path

import libchat
import libchat.aio
import pytest

_PACKAGE = Path(libchat.__file__).parent
_STUBS = [
    ("_libchat.pyi", libchat),
    ("aio.pyi", libchat.aio),
    ("_responder.pyi", libchat),
    ("_server.pyi", libchat),
]


def _documented():
    """Every public class, function and method of the stubs that has a docstring."""
    for stub, module in _STUBS:
        for node in ast.parse((_PACKAGE / stub).read_text()).body:
            name = getattr(node, "name", "_")
            if name.startswith("_") or not hasattr(module, name):
                continue
            yield pytest.param(getattr(module, name), node, id=f"{module.__name__}.{name}")
            for inner in node.body if isinstance(node, ast.ClassDef) else []:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    member = inspect.getattr_static(getattr(module, name), inner.name)
                    if not inner.name.startswith("_"):
                        label = f"{module.__name__}.{name}.{inner.name}"
                        yield pytest.param(member, inner, id=label)


@pytest.mark.parametrize(("member", "node"), list(_documented()))
def test_help_begins_as_the_stub_does(member, node):
    def paragraph(doc):
        return " ".join(inspect.cleandoc(doc or "").split("\n\n")[0].split())

    assert paragraph(member.__doc__) == paragraph(ast.get_docstring(node))
