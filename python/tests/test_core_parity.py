"""One libchat: the program and both faces of the package say the same of the same things."""

import inspect
import json
import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import libchat
import pytest
from test_aio import PATIENCE

PROGRAM = str(Path(sysconfig.get_path("scripts"), "libchat"))
SCHEMA = {"schema": 1}


def run(*arguments: str, project: str, code: int = 0) -> list[Any]:
    """What the program prints as JSON, line by line; of a failure, on standard error."""
    done = subprocess.run(
        [PROGRAM, *arguments, "--json", "--project", project],
        env=os.environ | {"LIBCHAT_AGENT": "ana"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == code, done.stderr
    printed = done.stderr if code else done.stdout
    return [json.loads(line) for line in printed.removesuffix("\n").split("\n")]


def fill(chat: libchat.Manager) -> None:
    """Messages of all kinds, and what is none."""
    first = chat.send("plan", "Grüße 😀\n\u2028", headers={"lang": "en", "b": "", "a": "ü"})
    chat.send("plan", "", reply_to=first.id, id="job-7")
    short = chat.history("plan")[0].short

    def store(short: str, payload: Any) -> None:
        chat.request(f"chat.{chat.project}.{short}", json.dumps(payload))

    store(short, {"from": "bones", "body": "nameless", "id": "0" * 32})
    store(short, {"body": "late", "timestamp": "9999-12-31T23:59:59-23:59"})
    store(short, {"body": "in its zone", "timestamp": "2026-01-02T03:04:05.120+02:00"})
    store(short, "malformed")
    store("0badcafe", "malformed")
    chat.send("stock", "12 left")


# Values


def dicts(watch: libchat.Watch) -> list[dict[str, Any]]:
    """What a watch tells until it has caught up, as the program prints it."""
    told = []
    while True:
        event = watch.next_event(PATIENCE)
        told.append(SCHEMA | event.to_dict())
        if isinstance(event, libchat.CaughtUp):
            return told


@pytest.mark.parametrize(
    ("option", "start"),
    [
        (["--all"], "all"),
        (["--last", "2"], libchat.Last(2)),
        (["--since", "c1.1.1.0"], libchat.Cursor("c1.1.1.0")),
    ],
)
def test_messages_are_what_the_program_reads(
    chat: libchat.Manager, option: list[str], start: Any
) -> None:
    fill(chat)
    read = run("read", "plan", *option, project=chat.project)
    with chat.watch("plan", start=start) as watch:
        told = dicts(watch)
    assert told == read
    assert len(read) > 2
    # Key by key in the same order, too.
    assert [list(it) for it in told] == [list(it) for it in read]
    if start == "all":
        messages = [it for it in read if "event" not in it]
        assert [SCHEMA | message.to_dict() for message in chat.history("plan")] == messages


def test_threads_are_what_the_program_lists(chat: libchat.Manager) -> None:
    fill(chat)
    for arguments, threads in [
        (["threads"], chat.list_threads()),
        (["threads", "--agent", chat.agent], chat.threads_for_agent(chat.agent)),
    ]:
        [listed] = run(*arguments, project=chat.project)
        assert listed == SCHEMA | {"threads": [thread.to_dict() for thread in threads]}
        assert [list(it) for it in listed["threads"]] == [list(it.to_dict()) for it in threads]
    assert len(chat.list_threads()) == 3


def test_receipts_are_what_the_program_says_of_a_send(chat: libchat.Manager) -> None:
    chat.send("plan", "hi", id="job-7")
    again = chat.send("plan", "hi", id="job-7")
    [printed] = run("send", "plan", "hi", "--id", "job-7", project=chat.project)
    assert printed == SCHEMA | again.to_dict()
    [printed] = run("send", "plan", "two", "--as", "ben", project=chat.project)
    assert libchat.Receipt(**{key: printed[key] for key in list(printed)[1:]}) == libchat.Receipt(
        id=printed["id"], cursor=printed["cursor"], duplicate=False
    )
    assert chat.history("plan")[1].id == printed["id"]


def test_events_are_what_the_program_follows(chat: libchat.Manager) -> None:
    fill(chat)
    first = chat.history("plan")[0].cursor
    purge = json.dumps({"seq": 3})
    chat.request(f"$JS.API.STREAM.PURGE.chat-{chat.project}", purge)
    with chat.watch_all(start=first) as watch:
        events = dicts(watch)
    assert [event.get("event", "message") for event in events] == [
        "gap",
        *["message"] * 3,
        *["malformed"] * 2,
        "message",
        "caught_up",
    ]
    command = [PROGRAM, "tail", "--since", str(first), "--json", "--project", chat.project]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tail:
        assert tail.stdout is not None
        followed = [json.loads(tail.stdout.readline()) for _ in events]
        tail.terminate()
    assert followed == events


# Errors


@pytest.mark.parametrize(
    ("arguments", "code", "call"),
    [
        (["send", "", "x"], 2, lambda chat: chat.send("", "x")),
        (["send", "plan", "x", "--id", " a"], 2, lambda chat: chat.send("plan", "x", id=" a")),
        (
            ["send", "plan", "x", "--header", "Nats-A=b"],
            2,
            lambda chat: chat.send("plan", "x", headers={"Nats-A": "b"}),
        ),
        (["send", "plan", "x" * 100_000], 1, lambda chat: chat.send("plan", "x" * 100_000)),
        (
            ["send", "plan", "x", "--user", "eve", "--password", "sesame"],
            6,
            lambda chat: libchat.open(chat.project, "ana", user="eve", password="sesame"),
        ),
        (
            ["send", "plan", "x", "--server", "nats://127.0.0.1:1"],
            5,
            lambda chat: libchat.open(chat.project, "ana", servers="nats://127.0.0.1:1"),
        ),
        (["ask", "nobody", "x"], 3, lambda chat: chat.ask("nobody", "x")),
        (["ask", "a b", "x"], 2, lambda chat: chat.ask("a b", "x")),
        (["ask", "mute", "x"], 1, lambda chat: chat.ask("mute", "x")),
    ],
    ids=lambda it: " ".join(it)[:30] if isinstance(it, list) else "",
)
def test_errors_are_what_the_program_says(
    chat: libchat.Manager, arguments: list[str], code: int, call: Any
) -> None:
    def fail(request: libchat.Request) -> str:
        raise libchat.Remote("no_such_city", "I know Paris and Rome only")

    small = {"name": f"chat-{chat.project}", "subjects": [f"chat.{chat.project}.>"]}
    small |= {"max_msg_size": 50_000}
    chat.request(f"$JS.API.STREAM.UPDATE.chat-{chat.project}", json.dumps(small))
    with libchat.open(chat.project, "mute") as mute, mute.answer(fail):
        with pytest.raises(libchat.Error) as caught:
            call(chat)
        error = caught.value
        [said] = run(*arguments, project=chat.project, code=code)
    expected = {"code": error.code, "hint": error.hint, "retryable": error.retryable}
    assert {key: said["error"][key] for key in expected} == expected
    assert said["error"]["message"] == str(error)


# The two faces


@pytest.mark.parametrize("name", ["Manager", "Watch", "Responder"])
def test_both_faces_have_the_same_names_and_arguments(name: str) -> None:
    def public(made: type) -> dict[str, list[str] | None]:
        found = {}
        for word in dir(made):
            if not word.startswith("_"):
                member = getattr(made, word)
                found[word] = [*inspect.signature(member).parameters] if callable(member) else None
        return found

    assert public(getattr(libchat, name)) == public(getattr(libchat.aio, name))


def test_open_takes_the_same_in_both_faces() -> None:
    blocking, asynchronous = map(inspect.signature, (libchat.open, libchat.aio.open))
    assert [str(it) for it in blocking.parameters.values()] == [
        str(it) for it in asynchronous.parameters.values()
    ]
