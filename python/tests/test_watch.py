"""Watching: every message of its threads once, from its start to its close. For both faces."""

import contextlib
import datetime as dt
import gc
import json
import queue
import select
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libchat
import pytest
from test_aio import PATIENCE, Asyncio, faces


def api(chat: Any, verb: str, request: dict[str, Any] | None = None) -> dict[str, Any]:
    """Asks JetStream about the project's stream, behind libchat's back."""
    subject = f"$JS.API.STREAM.{verb}.chat-{chat.project}"
    answer = json.loads(chat.request(subject, json.dumps(request or {})))
    assert "error" not in answer, answer
    return answer


def send_numbers(chat: Any, thread: str, numbers: range) -> None:
    for n in numbers:
        chat.send(thread, str(n))


@contextlib.contextmanager
def ana_for_a_while(face, project: str) -> Iterator[Any]:
    """Ana, whose iterations fail instead of waiting without end: she is closed then."""
    with face.open(project, "ana") as ana:
        alarm = threading.Timer(PATIENCE, ana.close)
        alarm.start()
        yield ana
        alarm.cancel()


def show(event: Any) -> str:
    """An event in one word and number, for comparing whole sequences."""
    match event:
        case libchat.Message(body=body):
            return f"message {body}"
        case libchat.Gap(after, until):
            return f"gap {after.seq}..{until.seq}"
        case libchat.Malformed(cursor):
            return f"malformed {cursor.seq}"
        case libchat.CaughtUp():
            return "caught up"
        case libchat.Reset():
            return "reset"
        case libchat.Stalled():
            return "stalled"
        case libchat.Resumed():
            return "resumed"
    return repr(event)


def events(watch: Any, count: int) -> list[str]:
    return [show(watch.next_event(timeout=PATIENCE)) for _ in range(count)]


def bodies(watch: Any, count: int) -> list[str]:
    messages = [watch.next(timeout=PATIENCE) for _ in range(count)]
    return [message and message.body for message in messages]


# Starts


@faces
@pytest.mark.parametrize("verb", ["watch", "watch_all", "watch_pattern"])
def test_every_start_begins_where_it_says(face, project: str, verb: str) -> None:
    with face.open(project, "ana") as ana:
        receipts = [ana.send("plan", str(n)) for n in range(10)]
        stored = list(ana.history("plan"))
        eastern = dt.timezone(dt.timedelta(hours=-5))
        hour = dt.timedelta(hours=1)
        starts = [
            ({}, 10),
            ({"start": "new"}, 10),
            ({"start": "all"}, 0),
            ({"start": stored[2].cursor}, 3),
            ({"start": receipts[2].cursor}, 3),
            ({"start": libchat.Cursor(str(stored[9].cursor))}, 10),
            ({"start": stored[5].time}, 5),
            ({"start": stored[5].time.astimezone(eastern)}, 5),
            ({"start": stored[0].time - hour}, 0),
            ({"start": stored[9].time + hour}, 10),
            ({"start": libchat.Last(1)}, 9),
            ({"start": libchat.Last(4)}, 6),
            ({"start": libchat.Last(1000)}, 0),
        ]
        thread = {"watch": ("plan",), "watch_all": (), "watch_pattern": (stored[0].short,)}[verb]
        for options, first in starts:
            with getattr(ana, verb)(*thread, **options) as watch:
                expected = [f"message {n}" for n in range(first, 10)] + ["caught up"]
                assert events(watch, len(expected)) == expected, options


@faces
def test_a_cursor_resumes_where_it_was_saved(face, project: str) -> None:
    with face.open(project, "ana") as ana, face.open(project, "ben") as ben:
        with ben.watch("plan") as watch:
            at_start = str(watch.cursor)
            send_numbers(ana, "plan", range(5))
            assert bodies(watch, 3) == ["0", "1", "2"]
            saved = str(watch.cursor)
        ben.close()
        with face.open(project, "ben") as ben:
            with ben.watch("plan", start=libchat.Cursor(saved)) as watch:
                assert str(watch.cursor) == saved
                assert bodies(watch, 2) == ["3", "4"]
            with ben.watch("plan", start=libchat.Cursor(at_start)) as watch:
                assert bodies(watch, 5) == ["0", "1", "2", "3", "4"]


@faces
def test_the_cursor_is_that_of_what_was_last_handed_out(face, project: str) -> None:
    with face.open(project, "ana") as ana, ana.watch("plan") as watch:
        send_numbers(ana, "plan", range(3))
        for seq in (1, 2, 3):
            message = watch.next(PATIENCE)
            assert watch.cursor == message.cursor
            assert watch.cursor.seq == seq


@faces
def test_a_cursor_of_another_stream_gives_a_reset_then_everything(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        send_numbers(ana, "plan", range(3))
        with ana.watch("plan", start=libchat.Cursor("c1.1.2.0")) as watch:
            expected = ["reset", "message 0", "message 1", "message 2", "caught up"]
            assert events(watch, 5) == expected


# Which threads, which messages


@faces
def test_watches_cover_the_threads_they_name(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        short = ana.send("plan", "0") and ana.history("plan")[0].short
        watches = {
            "thread": ana.watch("plan"),
            "other": ana.watch("other"),
            "all": ana.watch_all(),
            "short": ana.watch_pattern(short),
            "*": ana.watch_pattern("*"),
            ">": ana.watch_pattern(">"),
        }
        for thread, body in [("plan", "1"), ("other", "2"), ("plan", "3"), ("PLAN", "4")]:
            ana.send(thread, body)
        expected = {"thread": "13", "other": "2", "all": "1234", "short": "13"}
        expected |= {"*": "1234", ">": "1234"}
        for name, watch in watches.items():
            assert bodies(watch, len(expected[name])) == list(expected[name]), name
            assert watch.next(timeout=0) is None, name


@faces
def test_own_messages_are_left_out_on_request(face, project: str) -> None:
    with face.open(project, "ana") as ana, face.open(project, "ben") as ben:
        watches = [
            ana.watch("plan", skip_own=True),
            ana.watch_all(skip_own=True),
            ana.watch_pattern("*", skip_own=True),
        ]
        for n in range(6):
            (ana, ben)[n % 2].send("plan", str(n))
        for watch in watches:
            assert bodies(watch, 3) == ["1", "3", "5"]
        with ana.watch("plan", start="all", skip_own=True) as watch:
            assert bodies(watch, 3) == ["1", "3", "5"]


# Steps


@faces
@pytest.mark.parametrize("timeout", [0, 0.05, dt.timedelta(milliseconds=50)])
def test_none_means_timed_out_and_nothing_is_lost(face, project: str, timeout: Any) -> None:
    with face.open(project, "ana") as ana, ana.watch("plan") as watch:
        assert watch.next_event(PATIENCE) == libchat.CaughtUp(watch.cursor)
        assert watch.next(timeout=timeout) is None
        assert watch.next_event(timeout=timeout) is None
        ana.send("plan", "1")
        assert bodies(watch, 1) == ["1"]


@faces
@pytest.mark.parametrize("forever", [None, float("inf"), dt.timedelta.max])
def test_a_step_may_wait_without_end(face, project: str, forever: Any) -> None:
    with face.open(project, "ana") as ana, ana.watch("plan") as watch:
        later = threading.Timer(0.1, ana.send, ("plan", "1"))
        later.start()
        assert watch.next(timeout=forever).body == "1"
        later.join()


@faces
def test_iteration_gives_messages_and_events_gives_all(face, project: str) -> None:
    with ana_for_a_while(face, project) as ana:
        send_numbers(ana, "plan", range(3))
        with ana.watch("plan", start="all") as watch:
            assert iter(watch) is not None
            first = next(watch)
            assert first.body == "0"
            following = []
            for event in watch.events():
                following.append(show(event))
                if isinstance(event, libchat.CaughtUp):
                    break
            assert following == ["message 1", "message 2", "caught up"]
            ana.send("plan", "3")
            for message in watch:
                assert message.body == "3"
                break
            ana.send("plan", "4")
            # Leaving a loop does not close the watch.
            for message in watch:
                assert message.body == "4"
                break


@faces
def test_an_iterator_of_events_can_be_made_anew_at_any_time(face, project: str) -> None:
    with ana_for_a_while(face, project) as ana, ana.watch("plan") as watch:
        send_numbers(ana, "plan", range(2))
        shown = [show(next(watch.events())) for _ in range(3)]
        assert shown == ["caught up", "message 0", "message 1"]


@faces
def test_a_slow_reader_gets_everything_once(face, project: str) -> None:
    with face.open(project, "ana") as ana, ana.watch("plan") as slow, ana.watch_all() as fast:
        for n in range(1000):
            ana.send("plan", str(n), unordered=True)
            assert fast.next(PATIENCE) is not None
        got = bodies(slow, 1000)
        assert sorted(got, key=int) == [str(n) for n in range(1000)]
        assert slow.next(0) is None
        assert ana.stats()["detaches"] > 0, "the fault was not hit"


def test_threads_that_read_one_watch_share_its_messages(project: str) -> None:
    with libchat.open(project, "ana") as ana, ana.watch("plan") as watch:
        read: queue.Queue[str] = queue.Queue()

        def reading() -> None:
            for message in watch:
                read.put(message.body)

        readers = [threading.Thread(target=reading) for _ in range(4)]
        for reader in readers:
            reader.start()
        send_numbers(ana, "plan", range(400))
        got = [read.get(timeout=PATIENCE) for _ in range(400)]
        watch.close()
        for reader in readers:
            reader.join(PATIENCE)
        assert sorted(got, key=int) == [str(n) for n in range(400)]
        assert read.empty()


# Gaps and other faults


@faces
def test_a_cursor_from_before_a_purge_begins_with_a_gap(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        send_numbers(ana, "plan", range(1, 11))
        with ana.watch("plan", start="all") as watch:
            assert bodies(watch, 3) == ["1", "2", "3"]
            saved = watch.cursor
        api(ana, "PURGE", {"seq": 8})
        with ana.watch("plan", start=saved) as watch:
            expected = ["gap 3..7", "message 8", "message 9", "message 10", "caught up"]
            assert events(watch, 5) == expected
            assert watch.gaps == 1
        # Plain iteration passes over it, and counts.
        with ana.watch("plan", start=saved) as watch:
            assert watch.gaps == 0
            assert bodies(watch, 3) == ["8", "9", "10"]
            assert watch.gaps == 1
        assert ana.stats()["gaps"] == 2


@faces
def test_a_purge_under_a_slow_reader_is_a_gap_between_what_it_got(face, project: str) -> None:
    with face.open(project, "ana") as ana, ana.watch("plan") as watch:
        assert events(watch, 1) == ["caught up"]
        send_numbers(ana, "plan", range(1, 1001))
        assert ana.stats()["detaches"] == 1, "the fault was not hit"
        api(ana, "PURGE", {"seq": 991})
        last, gaps = 0, []
        while last < 1000:
            event = watch.next_event(PATIENCE)
            match event:
                case libchat.Message(cursor=cursor):
                    assert cursor.seq == last + 1
                    last = cursor.seq
                case libchat.Gap(after, until):
                    assert after.seq == last
                    assert until.seq == 990
                    last = 990
                    gaps.append(event)
        assert len(gaps) == watch.gaps == 1


@faces
def test_a_purge_of_what_was_delivered_is_no_event(face, project: str) -> None:
    with face.open(project, "ana") as ana, ana.watch("plan") as watch:
        send_numbers(ana, "plan", range(3))
        assert events(watch, 4) == ["caught up", "message 0", "message 1", "message 2"]
        api(ana, "PURGE")
        send_numbers(ana, "plan", range(3, 5))
        assert events(watch, 2) == ["message 3", "message 4"]
        assert watch.gaps == 0


@faces
def test_a_stream_made_anew_is_a_reset(face, project: str) -> None:
    with face.open(project, "ana") as ana, ana.watch("plan") as watch:
        send_numbers(ana, "plan", range(3))
        assert bodies(watch, 3) == ["0", "1", "2"]
        before = watch.cursor
        api(ana, "DELETE")
        with face.open(project, "ben") as ben:
            send_numbers(ben, "plan", range(10, 12))
        assert events(watch, 3) == ["reset", "message 10", "message 11"]
        assert ana.stats()["resets"] == 1
        with pytest.raises(libchat.InvalidArgument, match="of two streams, without an order"):
            _ = before < watch.cursor


@faces
@pytest.mark.parametrize("payload", ["no json", "", "[]", '{"body": 3}', b"\xff\xfe"])
def test_a_payload_that_is_no_envelope_is_malformed_and_counted(
    face, project: str, payload: Any
) -> None:
    with face.open(project, "ana") as ana, ana.watch("plan") as watch:
        ana.send("plan", "1")
        short = ana.history("plan")[0].short
        ana.request(f"chat.{project}.{short}", payload)
        ana.send("plan", "2")
        expected = ["caught up", "message 1", "malformed 2", "message 2"]
        assert events(watch, 4) == expected
        assert ana.stats()["malformed"] == 1
        with ana.watch("plan", start="all") as again:
            assert bodies(again, 2) == ["1", "2"]


def test_an_outage_is_a_stall_with_its_reason_then_resumed(tmp_path: Path) -> None:
    # Both faces at once: it takes 10 s until it is told.
    with (
        libchat.local_server(tmp_path) as server,
        libchat.open("shop", "ana", servers=server.url) as ana,
        Asyncio.open("shop", "ben", servers=server.url) as ben,
        ana.watch("plan") as one,
        ben.watch("plan") as other,
    ):
        for watch in (one, other):
            assert events(watch, 1) == ["caught up"]
        server.stop()
        for watch in (one, other):
            stalled = watch.next_event(PATIENCE)
            assert isinstance(stalled, libchat.Stalled)
            assert stalled.reason.startswith("no connection to nats://127.0.0.1:")
        assert libchat.local_server(tmp_path).url == server.url
        for watch in (one, other):
            assert events(watch, 1) == ["resumed"]
        send_numbers(ana, "plan", range(2))
        for watch in (one, other):
            assert events(watch, 2) == ["message 0", "message 1"]


# Ends


@faces
def test_close_ends_iteration_and_a_step_says_closed(face, project: str) -> None:
    with ana_for_a_while(face, project) as ana:
        watch = ana.watch("plan")
        ana.send("plan", "unread")
        watch.close()
        watch.close()
        assert list(watch) == []
        assert list(watch.events()) == []
        for step in (watch.next, watch.next_event):
            with pytest.raises(libchat.Closed) as caught:
                step(timeout=1)
            assert str(caught.value) == "the watch is closed"
        assert ana.stats()["watches"] == 0


@faces
def test_iteration_raises_closed_when_the_manager_was_closed(face, project: str) -> None:
    ana = face.open(project, "ana")
    watch, other = ana.watch("plan"), ana.watch("plan")
    ana.close()
    with pytest.raises(libchat.Closed):
        next(watch)
    with pytest.raises(libchat.Closed):
        next(watch.events())
    with pytest.raises(libchat.Closed):
        watch.next()
    # Once closed itself, too, it ends.
    other.close()
    assert list(other) == []


@faces
@pytest.mark.parametrize("step", ["next", "next_event", "iteration", "events"])
@pytest.mark.parametrize("closed", ["watch", "manager"])
def test_close_wakes_whoever_waits(face, project: str, step: str, closed: str) -> None:
    ana = face.open(project, "ana")
    watch = ana.watch("plan")
    assert events(watch, 1) == ["caught up"]
    steps = {
        "next": watch.next,
        "next_event": watch.next_event,
        "iteration": lambda: list(watch),
        "events": lambda: list(watch.events()),
    }
    ended: list[Any] = []
    waits = threading.Event()

    def wait() -> None:
        waits.set()
        try:
            ended.append(steps[step]())
        except libchat.Closed as error:
            ended.append(type(error))

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    waits.wait()
    {"watch": watch, "manager": ana}[closed].close()
    waiting.join(5)
    ends_silently = closed == "watch" and step in ("iteration", "events")
    assert ended == [[] if ends_silently else libchat.Closed]
    ana.close()


@faces
def test_a_watch_outlives_the_variable_of_its_manager(face, project: str) -> None:
    with face.open(project, "ben") as ben:
        watch = face.open(project, "ana").watch("plan")
        gc.collect()
        ben.send("plan", "1")
        assert bodies(watch, 1) == ["1"]
        gc.collect()
        ben.send("plan", "2")
        assert bodies(watch, 1) == ["2"]
        watch.close()


@faces
def test_a_manager_has_as_many_watches_as_it_may(face, project: str) -> None:
    with face.open(project, "ana", max_subscribers=2) as ana:
        first, _second = ana.watch("plan"), ana.watch_all()
        for watch in (lambda: ana.watch("plan"), ana.watch_all, lambda: ana.watch_pattern("*")):
            with pytest.raises(libchat.TooManySubscribers) as caught:
                watch()
            assert caught.value.code == "too_many_subscribers"
            assert caught.value.retryable is False
        first.close()
        with ana.watch("plan") as third:
            ana.send("plan", "1")
            assert bodies(third, 1) == ["1"]


# The descriptor


@faces
def test_the_descriptor_is_readable_when_there_is_something_to_say(face, project: str) -> None:
    def is_readable(watch: Any, patience: float) -> bool:
        return bool(select.select([watch.fileno()], [], [], patience)[0])

    with face.open(project, "ana") as ana, ana.watch("plan") as watch:
        assert watch.fileno() == watch.fileno()
        assert is_readable(watch, PATIENCE)
        assert events(watch, 1) == ["caught up"]
        assert watch.next_event(0) is None
        assert not is_readable(watch, 0)
        ana.send("plan", "1")
        ana.send("plan", "2")
        assert is_readable(watch, PATIENCE)
        assert bodies(watch, 1) == ["1"]
        assert is_readable(watch, PATIENCE)
        assert bodies(watch, 1) == ["2"]
        assert watch.next_event(0) is None
        assert not is_readable(watch, 0)
        watch.close()
        assert is_readable(watch, PATIENCE)


@faces
def test_each_watch_has_a_descriptor_of_its_own_that_tells_of_an_end(face, project: str) -> None:
    ana = face.open(project, "ana")
    plan, stock = ana.watch("plan"), ana.watch("stock")
    watches = {plan.fileno(): plan, stock.fileno(): stock}
    assert len(watches) == 2
    for watch in watches.values():
        assert events(watch, 1) == ["caught up"]
        assert watch.next_event(0) is None
    ana.send("stock", "12 left")
    readable, _, _ = select.select(list(watches), [], [], PATIENCE)
    assert readable == [stock.fileno()]
    ana.close()
    readable, _, _ = select.select([plan.fileno()], [], [], PATIENCE)
    assert readable == [plan.fileno()]
    for watch in watches.values():
        with pytest.raises(libchat.Closed):
            watch.next(0)
