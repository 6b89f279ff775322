"""Sending: what a receipt says, what the options do, what is refused. For both faces."""

import datetime as dt
import json
import threading
from typing import Any

import libchat
import pytest
from test_aio import faces


def bodies(chat: Any, thread: str = "plan") -> list[str]:
    return [message.body for message in chat.history(thread)]


@faces
def test_a_receipt_names_the_place_of_the_stored_message(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        receipt = ana.send("plan", "hello")
        [message] = ana.history("plan")
    assert isinstance(receipt, libchat.Receipt)
    assert (receipt.id, receipt.cursor.seq) == (message.id, message.cursor.seq) == (message.id, 1)
    assert receipt.duplicate is False
    assert len(receipt.id) == 32
    assert set(receipt.id) <= set("0123456789abcdef")


@faces
def test_a_message_says_who_wrote_what_where_and_when(face, project: str) -> None:
    before = dt.datetime.now(dt.UTC)
    with face.open(project, "ana of team 7") as ana:
        ana.send("plan", "hello")
        [message] = ana.history("plan")
    after = dt.datetime.now(dt.UTC)
    assert (message.sender, message.thread, message.body) == ("ana of team 7", "plan", "hello")
    assert message.reply_to is None
    assert message.headers == {}
    second = dt.timedelta(seconds=1)
    assert before - second < message.sent_at < after + second
    assert before - second < message.time < after + second


@faces
@pytest.mark.parametrize(
    "body",
    ["", "hello", "Grüße 😀", "a\0b", '<&>\u2028\u2029\\"\n\r\t', "\ufeffx", "x" * 1_000_000],
    ids=["empty", "ascii", "unicode", "nul", "json", "bom", "large"],
)
def test_a_body_arrives_as_it_was_sent(face, project: str, body: str) -> None:
    with face.open(project, "ana") as ana:
        ana.send("plan", body)
        ana.send("plan", body.encode())
        assert bodies(ana) == [body, body]


@faces
def test_a_reply_names_the_message_it_answers_by_its_id_or_by_itself(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        receipt = ana.send("plan", "shall we?")
        ana.send("plan", "yes", reply_to=receipt.id)
        question, answer = ana.history("plan")
        ana.send("plan", "yes again", reply_to=question)
        ana.send("plan", "to the answer", reply_to=answer)
        replies = [message.reply_to for message in ana.history("plan")]
    assert replies == [None, question.id, question.id, answer.id]


@faces
def test_headers_are_stored_and_the_servers_own_left_out(face, project: str) -> None:
    class Fields(dict):
        """Any mapping will do."""

    fields = Fields({"lang": "en", "traceparent": "00-ab-cd-01", "empty": "", "umlaut": "ü"})
    with face.open(project, "ana") as ana:
        ana.send("plan", "hello", headers=fields, id="job-7")
        [message] = ana.history("plan")
    assert message.headers == fields
    assert message.id == "job-7"


@faces
def test_the_same_id_stores_once(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        first = ana.send("plan", "one", id="job-7")
        again = ana.send("plan", "another body", id="job-7")
        assert (first.id, again.id) == ("job-7", "job-7")
        assert (first.duplicate, again.duplicate) == (False, True)
        assert first.cursor == again.cursor
        assert bodies(ana) == ["one"]
        assert ana.stats()["duplicates"] == 1


@faces
def test_a_drawn_id_is_another_one_each_time(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        assert len({ana.send("plan", "one").id for _ in range(20)}) == 20
        assert len(bodies(ana)) == 20


@faces
def test_a_conditional_send_conflicts_when_the_thread_has_moved(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        first = ana.send("plan", "1", expect_last="empty")
        with pytest.raises(libchat.Conflict) as caught:
            ana.send("plan", "2", expect_last="empty")
        assert caught.value.code == "conflict"
        assert caught.value.server_code == 10071
        assert caught.value.retryable is False
        assert caught.value.hint == "the thread's newest message is another one: read it first"
        ana.send("elsewhere", "2")
        # Of a receipt and of the message: either place will do.
        second = ana.send("plan", "2", expect_last=first.cursor)
        newest = ana.history("plan")[-1]
        ana.send("plan", "3", expect_last=newest.cursor)
        with pytest.raises(libchat.Conflict):
            ana.send("plan", "4", expect_last=second.cursor)
        assert bodies(ana) == ["1", "2", "3"]


@faces
def test_a_place_of_another_stream_is_a_conflict(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        ana.send("plan", "1")
        with pytest.raises(libchat.Conflict):
            ana.send("plan", "2", expect_last=libchat.Cursor("c1.1.1.0"))
        assert bodies(ana) == ["1"]


@faces
def test_unordered_sends_are_all_stored(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        for n in range(50):
            ana.send("plan", str(n), unordered=True)
        assert sorted(bodies(ana), key=int) == [str(n) for n in range(50)]


@faces
@pytest.mark.parametrize("timeout", [5, 5.5, dt.timedelta(seconds=5), float("inf"), 1e300, True])
def test_a_timeout_is_seconds_or_a_timedelta(face, project: str, timeout: Any) -> None:
    with face.open(project, "ana") as ana:
        ana.send("plan", "hello", timeout=timeout)
        assert bodies(ana) == ["hello"]


@faces
def test_what_is_too_large_is_said_and_not_stored(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        with pytest.raises(libchat.TooLarge) as caught:
            ana.send("plan", "x" * 2_000_000, id="job-7")
        assert str(caught.value).startswith(f"send to chat.{project}.")
        assert "Payload size limit of 1048576 exceeded" in str(caught.value)
        assert caught.value.id == "job-7"
        assert caught.value.retryable is False
        assert bodies(ana) == []


@faces
def test_a_send_to_a_deleted_stream_is_not_found(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        ana.request(f"$JS.API.STREAM.DELETE.chat-{project}")
        with pytest.raises(libchat.NotFound) as caught:
            ana.send("plan", "hello")
        assert caught.value.code == "not_found"
        assert caught.value.id is not None


@faces
def test_a_full_stream_says_so_with_the_servers_code(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        full = {"name": f"chat-{project}", "subjects": [f"chat.{project}.>"]}
        full |= {"max_msgs": 2, "discard": "new"}
        answer = ana.request(f"$JS.API.STREAM.UPDATE.chat-{project}", json.dumps(full))
        assert "error" not in json.loads(answer)
        ana.send("plan", "1")
        ana.send("plan", "2")
        with pytest.raises(libchat.Server) as caught:
            ana.send("plan", "3")
        assert caught.value.server_code == 10077
        assert "full" in caught.value.hint


@faces
def test_after_close_every_call_says_closed(face, project: str) -> None:
    chat = face.open(project, "ana")
    chat.close()
    chat.close()
    calls = {
        "send": lambda: chat.send("plan", "x"),
        "watch": lambda: chat.watch("plan"),
        "watch_all": lambda: chat.watch_all(),
        "watch_pattern": lambda: chat.watch_pattern("*"),
        "history": lambda: chat.history("plan"),
        "list_threads": lambda: chat.list_threads(),
        "threads_for_agent": lambda: chat.threads_for_agent("ana"),
        "request": lambda: chat.request("nowhere"),
        "respond": lambda: chat.respond("nowhere", print),
        "ask": lambda: chat.ask("ana", "?"),
        "answer": lambda: chat.answer(print),
    }
    raised = {}
    for verb, call in calls.items():
        with pytest.raises(libchat.Closed) as caught:
            call()
        raised[verb] = (str(caught.value), caught.value.code, caught.value.retryable)
    assert set(raised.values()) == {("the manager is closed", "closed", False)}
    # What needs no server is still known.
    assert (chat.project, chat.agent) == (project, "ana")
    assert chat.stats()["sent"] == 0


@faces
def test_leaving_the_block_closes_and_lets_errors_through(face, project: str) -> None:
    with pytest.raises(ZeroDivisionError), face.open(project, "ana") as chat:
        raise ZeroDivisionError
    with pytest.raises(libchat.Closed):
        chat.send("plan", "x")


@faces
def test_a_manager_counts_what_it_did(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        assert ana.stats()["sent"] == 0
        with ana.watch_all() as watch:
            ana.send("plan", "1", id="one")
            ana.send("plan", "1", id="one")
            ana.send("plan", "2")
            assert [watch.next(10).body, watch.next(10).body] == ["1", "2"]
            stats = ana.stats()
    expected = {"sent": 3, "resent": 0, "duplicates": 1, "delivered": 2, "malformed": 0, "gaps": 0}
    expected |= {"resets": 0, "detaches": 0, "reconnects": 0, "watches": 1, "connected": 1}
    assert {name: stats[name] for name in expected} == expected
    assert set(stats) - set(expected) == {"reopens", "buffered_bytes", "polling"}
    assert all(type(count) is int for count in stats.values())


def test_eight_threads_share_one_manager_and_each_keeps_its_order(project: str) -> None:
    with libchat.open(project, "ana") as ana:

        def write(writer: int) -> None:
            for n in range(100):
                ana.send(f"thread {n % 2}", f"{writer} {n}")

        writers = [threading.Thread(target=write, args=(n,)) for n in range(8)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(60)
        for thread in (0, 1):
            found = bodies(ana, f"thread {thread}")
            for writer in range(8):
                own = [body for body in found if body.startswith(f"{writer} ")]
                assert own == [f"{writer} {n}" for n in range(thread, 100, 2)]


@faces
def test_project_and_agent_may_come_from_the_environment(
    face, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIBCHAT_PROJECT", project)
    monkeypatch.setenv("LIBCHAT_AGENT", "eva")
    with face.open() as eva, face.open(agent="ana") as ana:
        assert (eva.project, eva.agent) == (project, "eva")
        assert (ana.project, ana.agent) == (project, "ana")


@faces
def test_open_makes_the_stream_only_if_it_may_and_changes_its_age_only_if_told(
    face, project: str
) -> None:
    def max_age(chat: Any) -> int:
        info = json.loads(chat.request(f"$JS.API.STREAM.INFO.chat-{project}"))
        return info["config"]["max_age"]

    with pytest.raises(libchat.NotFound) as caught:
        face.open(project, "ana", create=False)
    assert f"stream chat-{project}: there is none" in str(caught.value)
    hour = dt.timedelta(hours=1)
    for given, seconds in [({}, 0), ({"max_retention_age": hour}, 3600), ({"create": False}, 3600)]:
        with face.open(project, "ana", **given) as chat:
            assert max_age(chat) == seconds * 10**9
    with face.open(project, "ana", max_retention_age=0) as chat:
        assert max_age(chat) == 0


@faces
def test_servers_may_be_a_list_of_which_one_answers(
    face, project: str, server: libchat.LocalServer
) -> None:
    with face.open(project, "ana", servers=["nats://127.0.0.1:1", server.url]) as chat:
        assert chat.stats()["connected"] == 1
    with face.open(project, "ana", servers=f"nats://127.0.0.1:1,{server.url}") as chat:
        assert chat.stats()["connected"] == 1
