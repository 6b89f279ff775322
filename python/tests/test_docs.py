"""What the stubs promise: everything public is explained, and every example in them runs."""

import ast
import asyncio
import copy
import doctest
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import libchat
import pytest

PACKAGE = Path(libchat.__file__).parent
FILES = [*sorted(PACKAGE.glob("*.pyi")), PACKAGE / "__init__.py", PACKAGE / "errors.py"]
VERBS = [
    "send",
    "watch",
    "watch_all",
    "watch_pattern",
    "history",
    "list_threads",
    "threads_for_agent",
    "request",
    "respond",
    "ask",
    "answer",
    "stats",
    "close",
]


class Definition(NamedTuple):
    """A module, class, function, property or attribute, and what is said of it."""

    name: str
    file: Path
    line: int
    text: str
    node: ast.AST


def definitions() -> Iterator[Definition]:
    for file in FILES:
        yield from within(ast.parse(file.read_text(encoding="utf-8")), file.stem, file)


def within(scope: ast.Module | ast.ClassDef, path: str, file: Path) -> Iterator[Definition]:
    if isinstance(scope, ast.Module):
        yield Definition(path, file, 0, ast.get_docstring(scope) or "", scope)
    for node, following in zip(scope.body, [*scope.body[1:], None], strict=True):
        match node:
            case ast.ClassDef(name=name):
                yield from within(node, f"{path}.{name}", file)
                text = ast.get_docstring(node)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                text = ast.get_docstring(node)
            case ast.AnnAssign(target=ast.Name(id=name)):
                text = attribute_text(following)
            case _:
                continue
        yield Definition(f"{path}.{name}", file, node.lineno, text or "", node)


def attribute_text(following: ast.stmt | None) -> str:
    match following:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return text
        case _:
            return ""


ALL = {it.name: it for it in definitions()}
EXAMPLES = [it for it in ALL.values() if ">>>" in it.text]


def is_public(it: Definition) -> bool:
    module, *path = it.name.split(".")
    if not path:
        return not module.startswith("_")
    # A private file is public in what `libchat` has of it.
    is_reached = hasattr(libchat, path[0]) or not module.startswith("_")
    # What a code means is said by its class.
    is_code = module == "errors" and path[-1] == "code"
    return is_reached and not is_code and not any(name.startswith("_") for name in path)


@pytest.mark.parametrize("it", [*filter(is_public, ALL.values())], ids=lambda it: it.name)
def test_everything_public_is_explained(it: Definition) -> None:
    assert it.text, f"{it.file.name}:{it.line}: {it.name} has no docstring"


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_has_an_example_and_the_same_arguments_in_both_faces(verb: str) -> None:
    faces = [ALL[f"_libchat.Manager.{verb}"], ALL[f"aio.Manager.{verb}"]]
    assert all(">>>" in it.text for it in faces)
    blocking, asynchronous = map(arguments, faces)
    assert blocking == asynchronous


def arguments(function: Definition) -> str:
    """Names and defaults, without types."""
    assert isinstance(function.node, ast.FunctionDef | ast.AsyncFunctionDef)
    bare = copy.deepcopy(function.node.args)
    for argument in ast.walk(bare):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    return ast.unparse(bare)


def begin_afresh() -> None:
    """All examples are of one project: removes what the last one has left there."""
    # A stream made anew at once finds what is still on the disk of the old one (server 2.15.1).
    for _ in range(100):
        with libchat.open("shop", "docs") as chat:
            if not chat.list_threads():
                return
            chat.request("$JS.API.STREAM.DELETE.chat-shop")
    pytest.fail("the project shop is never empty")


@pytest.mark.parametrize("it", EXAMPLES, ids=lambda it: it.name)
def test_examples_run(
    it: Definition, server: libchat.LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIBCHAT_URL", server.url)
    begin_afresh()
    names = {"asyncio": asyncio, "libchat": libchat, "__name__": "__main__"}
    parser = doctest.DocTestParser()
    example = parser.get_doctest(it.text, names, it.name, str(it.file), it.line)
    printed: list[str] = []
    doctest.DocTestRunner().run(example, out=printed.append)
    assert not printed, "".join(printed)
