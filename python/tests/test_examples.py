"""The programs in examples/python: each in a process of its own, on a server of its own."""

import contextlib
import importlib.util
import json
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import libchat
import pytest
from children import DEADLINE, Ended, until
from conftest import is_long

EXAMPLES = Path(__file__).parents[2] / "examples" / "python"
# An agent of the demo, and what stands in for a language model.
LONGER = {"agent.py", "scripted.py"}
# Those of test_frameworks.py.
WITH_FRAMEWORKS = {"langgraph_agent.py", "openai_agents.py", "pydantic_ai_agent.py", "scripted.py"}


@pytest.fixture(name="own_server")
def serve_here(tmp_path, monkeypatch):
    """The server of this folder, where examples find it. Their projects' names never change."""
    for name in ("LIBCHAT_URL", "NATS_URL", "NATS_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    with libchat.local_server(tmp_path) as server:
        yield server


@contextlib.contextmanager
def started(example, *args, **options):
    """An example under way, killed when it has had its time."""
    child = subprocess.Popen(
        [sys.executable, "-B", "-W", "error", EXAMPLES / example, *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
        **options,
    )
    with child:
        watchdog = threading.Timer(DEADLINE, child.kill)
        watchdog.start()
        try:
            yield child
        finally:
            watchdog.cancel()
            child.kill()


def end_of(child):
    """How it ends by itself. Its input stays open as long."""
    code = child.wait(DEADLINE)
    return Ended(code, child.stdout.read(), child.stderr.read())


def run(example, *args, **options):
    with started(example, *args, **options) as child:
        return end_of(child)


def check_types(examples, cache):
    if importlib.util.find_spec("mypy") is None:
        missing = f"mypy is not installed: {sys.executable} -m pip install mypy"
        pytest.fail(missing) if is_long() else pytest.skip(missing)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", cache, *sorted(examples)]
    done = subprocess.run(command, cwd=EXAMPLES, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda it: it.stem)
def test_an_example_fits_on_a_screen(example):
    lines = example.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 40 or example.name in LONGER
    assert max(map(len, lines)) <= 100


def test_the_examples_pass_a_strict_type_checker(tmp_path):
    check_types({it.name for it in EXAMPLES.glob("*.py")} - WITH_FRAMEWORKS, tmp_path)


def test_two_agents_talk():
    said = "ana: Shall we ship on Friday?\nben: Yes, if the tests are green.\nana: They are.\n"
    assert run("two_agents.py") == (0, said, "")


def test_one_process_asks_another():
    answers = [
        "ben: 7 EUR",
        "ben: remote: request demo.ask.ben: the handler failed: I know Rome only",
        "carl: no_responders: request demo.ask.carl: nobody listens",
    ]
    assert run("ask.py") == (0, "".join(f"{it}\n" for it in answers), "")


def test_killed_at_any_moment_an_agent_handles_each_job_once(own_server):
    cursor, saved, receipts = Path("cursor"), [], []
    with libchat.open("demo", "ana", servers=own_server.url) as ana:
        for _ in range(50 if is_long() else 5):
            with ana.watch("results") as results, started("resume.py", cursor) as child:
                receipts += [ana.send("jobs", f"job {len(receipts) + n}") for n in range(100)]
                assert all(results.next(DEADLINE) for _ in range(50))
                child.kill()
            saved.append(cursor.read_text())
        assert len(set(saved)) == len(saved)
        check_results(ana, receipts, cursor)
        # All of this is done again, as the last job is after a kill before its cursor is saved.
        cursor.write_text(saved[-2])
        check_results(ana, receipts, cursor)


def check_results(ana, receipts, cursor):
    """Lets the agent come to the end, and looks whether each job has its result."""
    end = receipts[-1].cursor.seq
    with started("resume.py", cursor) as child:
        until("all is done", lambda: libchat.Cursor(cursor.read_text()).seq == end)
        child.send_signal(signal.SIGINT)
        assert end_of(child) == (0, "", "")
    results = ana.history("results", limit=2 * len(receipts))
    assert [result.body for result in results] == [f"JOB {n}" for n in range(len(receipts))]
    assert [result.reply_to for result in results] == [receipt.id for receipt in receipts]


def test_a_supervisor_sends_somebody_where_help_is_asked_for(own_server):
    with (
        libchat.open("demo", "ana", servers=own_server.url) as ana,
        libchat.open("demo", "ben", servers=own_server.url) as ben,
        ben.watch("stock", skip_own=True) as heard,
    ):
        ana.send("plan", "prices first")
        with started("supervisor.py") as child:
            assert child.stdout.readline() == "[plan] 1 messages so far\n"
            ben.send("stock", "12 left")
            call = ben.send("stock", "help, I count 11")
            order = heard.next(DEADLINE)
            assert (order.sender, order.reply_to) == ("supervisor", call.id)
            ana.send("stock", "coming")
            ben.send("stock", "help, we count 10")
            assert [heard.next(DEADLINE).sender for _ in range(2)] == ["ana", "supervisor"]
            lines = [child.stdout.readline() for _ in range(6)]
            child.send_signal(signal.SIGINT)
            assert end_of(child) == (0, "", "")
    assert "".join(lines) == (
        "[stock] ben: 12 left\n"
        "[stock] ben: help, I count 11\n"
        "[stock] supervisor: ana, leave plan: ben needs you here\n"
        "[stock] ana: coming\n"
        "[stock] ben: help, we count 10\n"
        "[stock] supervisor: nobody is free, ben\n"
    )


# Id, sender, thread, text; whom the sender asks before, what, and the answer.
CONVERSATION = [
    ("line-1", "ana", "plan", "Who tests?", "", "", ""),
    ("line-2", "ben", "plan", "I do.", "", "", ""),
    ("line-3", "ana", "tests", 'Good. Umläuts, "quotes" and \\, too.', "", "", ""),
    # Here ben is killed, and started again when the next line is heard.
    ("line-4", "ana", "tests", "ben is away.", "ben", "still there?", ""),
    ("line-5", "ben", "tests", "I am back.", "", "", ""),
    ("line-6", "ana", "plan", "Then we are done.", "ben", "all green?", "all green"),
]


@contextlib.contextmanager
def agent(name):
    """An agent of the demo, as the demo starts it. Its input stays open."""
    with started("agent.py", name) as child:
        child.stdin.writelines("\t".join(line) + "\n" for line in CONVERSATION)
        child.stdin.write("\n")
        yield child


def notes(name):
    return [json.loads(line) for line in Path(f"{name}.jsonl").read_text().splitlines()]


def noted(name, kind):
    return [note[kind] for note in notes(name) if kind in note and isinstance(note, dict)]


def test_an_agent_of_the_demo_outlives_a_kill(own_server):
    with (
        libchat.open("demo", "audience", servers=own_server.url) as chat,
        chat.watch_all(start="all") as watch,
        agent("ana") as ana,
    ):
        with agent("ben") as ben:
            assert [watch.next(DEADLINE).id for _ in range(3)] == ["line-1", "line-2", "line-3"]
            ben.kill()
        known = noted("ben", "saw")[-1]["cursor"]
        with open("ben.jsonl", "a", encoding="utf-8") as journal:
            journal.write('{"saw":{"cur')  # what a kill leaves of a line
        assert watch.next(DEADLINE).id == "line-4"
        with agent("ben") as ben:
            assert end_of(ana) == end_of(ben) == (0, "", "")
    heard = noted("ana", "saw")
    keys = ("id", "sender", "thread", "body")
    assert [tuple(it[key] for key in keys) for it in heard] == [it[:4] for it in CONVERSATION]
    assert noted("ben", "saw") == heard
    assert noted("ben", "started") == [{"after": None}, {"after": known}]
    asked = [(it["to"], it["text"], it["answer"]) for it in noted("ana", "asked")]
    assert asked == [("ben", "still there?", None), ("ben", "all green?", "all green")]
    assert len(noted("ana", "said")) == 4
    assert [notes(name)[-1] for name in ("ana", "ben")] == [{"ended": {"reconnects": 0}}] * 2
    assert noted("ana", "odd") + noted("ben", "odd") == []


def test_an_agent_of_the_demo_ends_with_whoever_started_it(own_server):
    with agent("ben") as ben:
        until("ben is there", lambda: Path("ben.jsonl").exists() and "caught_up" in notes("ben"))
        ben.stdin.close()
        assert end_of(ben) == (1, "", "")


@pytest.mark.parametrize("name", ["agent", "ask", "resume", "supervisor", "two_agents"])
def test_without_a_server_an_example_says_so_in_a_line(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIBCHAT_URL", "nats://127.0.0.1:1")
    monkeypatch.setenv("LIBCHAT_NATS_SERVER", str(tmp_path / "nats-server"))
    with started(f"{name}.py", "file") as child:
        child.stdin.write("\n")
        code, out, err = end_of(child)
    assert (code, out) == (1, "")
    assert re.fullmatch(f"{name}( file)?: .*(Connection refused|no program).*\n", err), err
