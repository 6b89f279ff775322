"""Listing threads, and addressing one by what a listing or a message knows. For both faces."""

import json
from typing import Any

import libchat
import pytest
from test_aio import PATIENCE, faces


def store(chat: Any, short: str, payload: Any) -> None:
    """Stores a payload as another program would, behind libchat's back."""
    if isinstance(payload, dict):
        payload = json.dumps(payload)
    answer = json.loads(chat.request(f"chat.{chat.project}.{short}", payload))
    assert "seq" in answer, answer


def nameless(chat: Any, short: str = "0badcafe", body: str = "who am I?") -> None:
    """A message as an older writer sends it: without the thread's name."""
    envelope = {"id": "0" * 32, "from": "bones", "thread": short, "body": body}
    store(chat, short, envelope | {"timestamp": "2026-01-02T03:04:05Z"})


@faces
def test_threads_come_newest_first_with_counts_and_last_messages(face, project: str) -> None:
    with face.open(project, "ana") as ana, face.open(project, "ben") as ben:
        assert ana.list_threads() == []
        for thread, chat in [("plan", ana), ("stock", ana), ("ship", ben), ("plan", ben)]:
            chat.send(thread, f"{chat.agent} in {thread}")
        threads = ana.list_threads()
        assert [(it.name, it.message_count, it.last_sender, it.last_body) for it in threads] == [
            ("plan", 2, "ben", "ben in plan"),
            ("ship", 1, "ben", "ben in ship"),
            ("stock", 1, "ana", "ana in stock"),
        ]
        last = ana.history("plan")[-1]
        assert isinstance(threads[0], libchat.ThreadSummary)
        assert threads[0].cursor == last.cursor
        assert threads[0].last_activity == last.time
        assert threads[0].short == last.short


@faces
def test_threads_for_an_agent_are_those_it_wrote_in(face, project: str) -> None:
    with face.open(project, "ana") as ana, face.open(project, "ben") as ben:
        for thread, chat in [("a", ben), ("b", ben), ("c", ana), ("a", ben), ("b", ana)]:
            chat.send(thread, "hi")

        def names(*args: Any, **options: Any) -> list[str]:
            return [it.name for it in ana.threads_for_agent(*args, **options)]

        assert names("ben") == ["b", "a"]
        assert names("ana") == ["b", "c"]
        assert names("ben", 1) == ["b"]
        assert names("ben", max_threads=1) == ["b"]
        assert names("ben", 0) == []
        assert names("eva") == []
        assert names("BEN") == []
        assert len(names("ben", 2**40)) == 2


@faces
def test_a_malformed_last_payload_is_stepped_over_and_counted(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        ana.send("plan", "1")
        short = ana.history("plan")[0].short
        store(ana, short, "no json")
        [thread] = ana.list_threads()
        assert (thread.name, thread.message_count, thread.last_body) == ("plan", 2, "1")
        assert thread.cursor.seq == 2


@faces
def test_a_thread_of_malformed_payloads_alone_has_no_last_message(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        store(ana, "0badcafe", "no json")
        [thread] = ana.list_threads()
        assert thread.last_activity is None
        assert (thread.name, thread.last_sender, thread.last_body) == ("", "", "")
        assert (thread.short, thread.message_count, thread.cursor.seq) == ("0badcafe", 1, 1)
        assert thread.to_dict()["last_activity"] is None
        assert len(ana.history(thread)) == 0


@faces
@pytest.mark.parametrize("by", ["message", "summary"])
def test_a_thread_without_a_stored_name_is_addressed_by_what_is_of_it(
    face, project: str, by: str
) -> None:
    with face.open(project, "ana") as ana:
        nameless(ana)
        [summary] = ana.list_threads()
        message = ana.history(summary)[0]
        assert (message.thread, message.short, summary.name) == ("", "0badcafe", "")
        thread = {"message": message, "summary": summary}[by]
        with ana.watch(thread) as watch:
            ana.send(thread, "you are one of bones", reply_to=message)
            assert watch.next(PATIENCE).body == "you are one of bones"
        assert [it.body for it in ana.history(thread)] == ["who am I?", "you are one of bones"]
        assert ana.history(thread)[1].reply_to == message.id
        assert [(it.short, it.message_count) for it in ana.list_threads()] == [("0badcafe", 2)]


@faces
@pytest.mark.parametrize("by", ["message", "summary"])
def test_what_is_sent_to_the_thread_of_a_message_keeps_the_threads_name(
    face, project: str, by: str
) -> None:
    with face.open(project, "ana") as ana:
        ana.send("plan", "shall we?")
        thread = {"message": ana.history("plan")[0], "summary": ana.list_threads()[0]}[by]
        ana.send(thread, "yes")
        assert [message.thread for message in ana.history("plan")] == ["plan", "plan"]
        assert [it.name for it in ana.list_threads()] == ["plan"]


@faces
def test_a_false_name_is_not_believed(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        store(ana, "0badcafe", {"from": "eve", "body": "hi", "thread_name": "plan"})
        [summary] = ana.list_threads()
        message = ana.history(summary)[0]
        assert (summary.name, message.thread) == ("", "")
        ana.send(message, "to whom?")
        assert len(ana.history("plan")) == 0
        assert len(ana.history(summary)) == 2


@faces
def test_a_name_that_looks_like_a_short_is_a_name(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        ana.send("plan", "1")
        short = ana.history("plan")[0].short
        ana.send(short, "2")
        assert [it.body for it in ana.history("plan")] == ["1"]
        assert {it.name for it in ana.list_threads()} == {"plan", short}


@faces
@pytest.mark.parametrize(
    "name", [" ", "a b", "Grüße 😀", "a.b.*.>", "\n", "\0", "../..", "x" * 10_000]
)
def test_a_threads_name_is_any_text(face, project: str, name: str) -> None:
    with face.open(project, "ana") as ana:
        ana.send(name, "hi")
        assert [message.thread for message in ana.history(name)] == [name]
        assert [thread.name for thread in ana.list_threads()] == [name]


@faces
def test_projects_do_not_see_each_other(face, project: str) -> None:
    with face.open(project, "ana") as ana, face.open(f"{project}-2", "ana") as other:
        ana.send("plan", "here")
        other.send("plan", "there")
        assert [message.body for message in ana.history("plan")] == ["here"]
        assert ana.list_threads()[0].short != other.list_threads()[0].short
