"""What type checkers say: right programs pass, wrong lines are found, the stubs fit the module."""

import doctest
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from test_docs import EXAMPLES, PACKAGE

PROGRAMS = Path(__file__).parent / "typing"


def run(tool: str, *args: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a tool that is a Python module, where it finds the libchat that is installed."""
    package = tool.partition(".")[0]
    if importlib.util.find_spec(package) is None:
        pytest.fail(f"{package} is not installed: {sys.executable} -m pip install {package}")
    environment = {name: value for name, value in os.environ.items() if name != "MYPYPATH"}
    # basedpyright asks the first `python` for what is installed.
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    command = [sys.executable, "-m", tool, *map(str, args)]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done


def passes(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout + done.stderr


def errors_of_mypy(program: Path, cache: Path) -> dict[int, str]:
    done = run("mypy", "--strict", "--cache-dir", cache, program.name, folder=program.parent)
    found = re.finditer(r"^[^:]+:(\d+): error: (.*)$", done.stdout, re.MULTILINE)
    return {int(match[1]): match[2] for match in found}


def errors_of_basedpyright(program: Path, _cache: Path) -> dict[int, str]:
    done = run("basedpyright", "--outputjson", program.name, folder=program.parent)
    found = json.loads(done.stdout)["generalDiagnostics"]
    return {it["range"]["start"]["line"] + 1: it["message"] for it in found}


def marked(program: Path) -> set[int]:
    lines = program.read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# error")}


@pytest.mark.parametrize("errors_of", [errors_of_mypy, errors_of_basedpyright])
@pytest.mark.parametrize("name", ["blocking.py", "with_asyncio.py", "wrong.py"])
def test_exactly_the_marked_lines_are_wrong(
    name: str, errors_of: Callable[[Path, Path], dict[int, str]], tmp_path: Path
) -> None:
    program = PROGRAMS / name
    found = errors_of(program, tmp_path)
    assert set(found) == marked(program), found


def test_the_examples_of_the_stubs_are_right(tmp_path: Path) -> None:
    for number, it in enumerate(EXAMPLES):
        lines = [example.source for example in doctest.DocTestParser().get_examples(it.text)]
        program = "".join(["import asyncio\nimport libchat\n", *lines])
        (tmp_path / f"example_{number}_{it.name.replace('.', '_')}.py").write_text(program)
    passes(run("mypy", "--check-untyped-defs", ".", folder=tmp_path))


def test_the_stubs_are_strict(tmp_path: Path) -> None:
    typed = [*PACKAGE.glob("*.pyi"), PACKAGE / "errors.py", PACKAGE / "_types.py"]
    (tmp_path / "libchat").mkdir()
    for file in typed:
        shutil.copy(file, tmp_path / "libchat")
    passes(run("mypy", "--strict", "libchat", folder=tmp_path))


def test_everything_public_has_a_type(tmp_path: Path) -> None:
    done = run("basedpyright", "--verifytypes", "libchat", folder=tmp_path)
    passes(done)
    assert "Type completeness score: 100%" in done.stdout, done.stdout


def test_the_stubs_fit_the_module(tmp_path: Path) -> None:
    config, left_out = PROGRAMS / "mypy.ini", PROGRAMS / "stubtest.txt"
    settings = ["--mypy-config-file", config, "--allowlist", left_out, "--ignore-unused-allowlist"]
    passes(run("mypy.stubtest", *settings, "libchat", folder=tmp_path))
