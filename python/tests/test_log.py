"""Log records: they reach `logging`, at its levels, and hold no secret."""

import logging
import os
import queue
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import libchat
import pytest
from test_aio import PATIENCE, faces


class Kept(logging.Handler):
    """Keeps records for whoever waits for them."""

    def __init__(self) -> None:
        super().__init__()
        self.came: queue.Queue[logging.LogRecord] = queue.Queue()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.came.put(record)

    def wait_for(self, text: str) -> logging.LogRecord:
        """The next record that has `text` in it."""
        while True:
            record = self.came.get(timeout=PATIENCE)
            self.texts.append(logging.Formatter().format(record))
            if text in record.getMessage():
                return record


@pytest.fixture
def kept() -> Iterator[Kept]:
    """All records of libchat from here on, those for whoever looks for a fault too."""
    logger, kept = logging.getLogger("libchat"), Kept()
    before = logger.level, logger.propagate
    logger.addHandler(kept)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    yield kept
    logger.removeHandler(kept)
    logger.level, logger.propagate = before
    logger.manager._clear_cache()  # type: ignore[attr-defined]


def store_malformed(chat: Any, payload: str = "no json") -> None:
    """Stores what is no message, as another program would."""
    chat.request(f"chat.{chat.project}.0badcafe", payload)


@faces
def test_a_malformed_payload_is_a_warning_with_its_place(face, project: str, kept: Kept) -> None:
    with face.open(project, "ana") as ana, ana.watch_all() as watch:
        store_malformed(ana)
        ana.send("plan", "1")
        message = watch.next(PATIENCE)
        record = kept.wait_for("is no envelope cursor=")
    incarnation = str(message.cursor).split(".")[1]
    assert (record.name, record.levelno) == ("libchat", logging.WARNING)
    assert record.getMessage().startswith(
        f"a stored payload is no envelope cursor=c1.{incarnation}.1."
    )
    assert record.threadName == "libchat-log"


@faces
def test_a_gap_that_iteration_passes_over_is_a_warning(face, project: str, kept: Kept) -> None:
    with face.open(project, "ana") as ana:
        first = ana.send("plan", "1").cursor
        for n in range(3):
            ana.send("plan", str(n))
        ana.request(f"$JS.API.STREAM.PURGE.chat-{project}", '{"seq": 4}')
        with ana.watch("plan", start=first) as watch:
            assert watch.next(PATIENCE).cursor.seq == 4
        record = kept.wait_for("messages were gone before delivery")
    assert record.levelno == logging.WARNING
    assert f"after={first} until=" in record.getMessage()


@faces
def test_a_handlers_failure_is_an_error_with_its_traceback(face, project: str, kept: Kept) -> None:
    def handler(request: libchat.Request) -> str:
        raise ZeroDivisionError("the handler's own text")

    with face.open(project, "ana") as ana, ana.answer(handler):
        with pytest.raises(libchat.Remote):
            ana.ask("ana", "?")
        record = kept.wait_for("a handler failed")
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError
    assert "in handler" in kept.texts[-1]


@faces
def test_a_remote_without_a_usable_code_is_an_error(face, project: str, kept: Kept) -> None:
    def handler(request: libchat.Request) -> str:
        raise libchat.Remote("not a word!", "a text")

    with face.open(project, "ana") as ana, ana.answer(handler):
        with pytest.raises(libchat.Remote):
            ana.ask("ana", "?")
        record = kept.wait_for("no usable code")
    assert record.levelno == logging.ERROR
    assert "not a word!" in record.getMessage()


@faces
def test_a_remote_with_a_code_is_the_handlers_answer_and_not_logged(
    face, project: str, kept: Kept
) -> None:
    def handler(request: libchat.Request) -> str:
        raise libchat.Remote("no_such_city", "a text")

    with face.open(project, "ana") as ana, ana.answer(handler), ana.watch_all():
        with pytest.raises(libchat.Remote):
            ana.ask("ana", "?")
        store_malformed(ana)
        kept.wait_for("is no envelope")
    assert not any("handler" in text for text in kept.texts)


@faces
def test_records_below_the_level_do_not_come(face, project: str, kept: Kept) -> None:
    logging.getLogger("libchat").setLevel(logging.ERROR)

    def handler(request: libchat.Request) -> str:
        raise ZeroDivisionError

    with face.open(project, "ana") as ana, ana.watch_all() as watch, ana.answer(handler):
        store_malformed(ana)
        ana.send("plan", "1")
        assert watch.next(PATIENCE) is not None
        with pytest.raises(libchat.Remote):
            ana.ask("ana", "?")
        kept.wait_for("a handler failed")
    assert len(kept.texts) == 1


@faces
def test_debug_records_come_to_whoever_looks_for_a_fault(face, project: str, kept: Kept) -> None:
    with face.open(project, "ana") as ana:
        store_malformed(ana)
        assert len(ana.history(ana.list_threads()[0])) == 0
        record = kept.wait_for("a stored payload is no envelope seq=1")
    assert record.levelno == logging.DEBUG


@faces
def test_neither_records_nor_errors_hold_a_password_or_what_was_said(
    face, project: str, kept: Kept, server: libchat.LocalServer
) -> None:
    login, _, address = server.url.removeprefix("nats://").rpartition("@")
    password = login.partition(":")[2]
    secrets = [password, "sesame", "the body itself"]
    errors: list[libchat.Error] = []

    def fails(call: Any) -> None:
        with pytest.raises(libchat.Error) as caught:
            call()
        errors.append(caught.value)

    def handler(request: libchat.Request) -> str:
        raise libchat.Remote("no", "nothing")

    body = "the body itself"
    with face.open(project, "ana", servers=server.url) as ana, ana.watch_all() as watch:
        ana.send("plan", body, id="job-7")
        ana.send("plan", body, id="job-7")
        fails(lambda: ana.send("plan", body, expect_last="empty"))
        fails(lambda: ana.send("plan", body * 100_000))
        fails(lambda: ana.send("plan", body.encode() + b"\xff"))
        fails(lambda: ana.send("plan", body + "\ud800"))
        fails(lambda: ana.send("plan", body, headers={"a": " the body itself"}))
        fails(lambda: ana.ask("nobody", body))
        fails(lambda: ana.request(f"{project}.nowhere", body * 100_000))
        fails(lambda: face.open(project, "ana", servers=f"nats://eve:sesame@{address}"))
        fails(lambda: face.open(project, "ana", user="eve", password="sesame", timeout=2))
        wrong = f"nats://eve:sesame@127.0.0.1:1,nats://eve:sesame@{address}"
        fails(lambda: face.open(project, "ana", servers=wrong))
        fails(lambda: face.open(project, "ana", servers=f"http://eve:sesame@{address}"))
        fails(lambda: face.open(project, "ana", servers="nats://eve:sesame@a b:1"))
        with ana.answer(handler):
            fails(lambda: ana.ask("ana", body))
        store_malformed(ana, "the body itself")
        store_malformed(ana, '{"body": "the body itself", "timestamp": "the body itself"}')
        assert watch.next(PATIENCE).body == body
        assert watch.next(0.2) is None
        assert len(ana.history(libchat.Message(short="0badcafe"))) == 0
        kept.wait_for("is no envelope seq=3")
    shown = kept.texts
    for error in errors:
        shown += [str(error), repr(error), str(error.hint), *getattr(error, "__notes__", ())]
        shown += map(str, vars(error).values())
    shown += [repr(ana), repr(watch), repr(server)]
    for secret in secrets:
        assert [text for text in shown if secret in text] == []


def child(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


QUIET = """
import libchat
with libchat.open({project!r}, "ana") as ana, ana.watch_all() as watch:
    ana.send("plan", "1")
    watch.next()
    ana.list_threads()
    ana.request("chat.{project}.0badcafe", "no json") if {faulty} else None
    watch.next(timeout=0.5)
"""


def test_where_nobody_set_logging_up_only_what_goes_wrong_is_printed(project: str) -> None:
    done = child(QUIET.format(project=project, faulty=False))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = child(QUIET.format(project=project, faulty=True))
    assert (done.returncode, done.stdout) == (0, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("a stored payload is no envelope cursor=")


def test_a_program_that_wants_silence_has_it(project: str) -> None:
    silence = "import logging; logging.getLogger('libchat').addHandler(logging.NullHandler())\n"
    done = child(silence + QUIET.format(project=project, faulty=True))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_libchats_own_variable_of_the_program_prints_nothing_here(project: str) -> None:
    done = child(QUIET.format(project=project, faulty=False), LIBCHAT_LOG="libchat=trace")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_handler_of_records_that_uses_libchat_does_not_lock_up(project: str) -> None:
    program = f"""
import libchat, logging, threading
stored = threading.Event()
class ToChat(logging.Handler):
    def emit(self, record):
        if not stored.is_set():
            ana.send("log", record.getMessage())
            stored.set()
logging.getLogger("libchat").addHandler(ToChat())
with libchat.open({project!r}, "ana") as ana, ana.watch_all() as watch:
    ana.request("chat.{project}.0badcafe", "no json")
    assert watch.next(timeout=10).thread == "log"
    assert stored.wait(10)
"""
    done = child(program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_more_records_than_are_held_are_counted_and_dropped(project: str) -> None:
    program = f"""
import libchat, logging, threading
go, came = threading.Event(), []
class Slow(logging.Handler):
    def emit(self, record):
        came.append(record.getMessage())
        go.wait(30)
        if "were dropped" in came[-1]:
            done.set()
done = threading.Event()
logging.getLogger("libchat").addHandler(Slow())
with libchat.open({project!r}, "ana") as ana, ana.watch_all() as watch:
    for n in range(2000):
        ana.request("chat.{project}.0badcafe", "no json")
    ana.send("plan", "last")
    assert watch.next(timeout=30).body == "last"
    go.set()
    assert done.wait(30)
records = [it for it in came if "is no envelope" in it]
dropped = int(came[-1].split()[0])
assert 1024 <= len(records) < 2000, len(records)
assert len(records) + dropped == 2000, (len(records), dropped)
"""
    done = child(program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
