"""The wire: the vectors made with the original Go package, as a program in Python meets them."""

import base64
import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import libchat
import pytest
from test_aio import PATIENCE, faces

FOLDER = Path(os.environ.get("LIBCHAT_WIRE_VECTORS", Path(__file__).parents[2] / "tests" / "wire"))


def vectors(file: str) -> list[dict[str, Any]]:
    content = json.loads((FOLDER / file).read_text(encoding="utf-8"))
    assert len(content["vectors"]) == content["count"] > 0
    return content["vectors"]


def given(vector: dict[str, Any], key: str) -> str:
    """A name as Python has one that came from the system: what is no UTF-8 as lone surrogates."""
    return base64.b64decode(vector[f"{key}_b64"]).decode("utf-8", "surrogateescape")


def is_allowed(project: str) -> bool:
    """The rule of projects in DESIGN.md section 11, for the names that stand in the vectors."""
    return is_text(project) and project != "" and not set(project) & set(" .*>/\\$")


def is_text(name: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in name)


HASHES = vectors("thread_hash.json")


@faces
def test_threads_have_the_short_of_go(face, server: libchat.LocalServer) -> None:
    by_project = defaultdict(list)
    for vector in HASHES:
        project, name = given(vector, "project"), given(vector, "name")
        if is_allowed(project) and is_text(name) and name:
            by_project[project].append((name, vector["short"]))
    assert sum(map(len, by_project.values())) > 100
    for project, names in by_project.items():
        with face.open(project, "ana") as ana:
            for name, short in names:
                ana.send(name, "hi")
                message = ana.history(name)[-1]
                assert (message.thread, message.short) == (name, short), (project, name)
            listed = {thread.name: thread.short for thread in ana.list_threads()}
            assert listed == dict(names)


@faces
def test_names_that_are_none_are_refused(face, server: libchat.LocalServer) -> None:
    refused = {"project": 0, "thread": 0}
    with face.open("bones", "ana") as ana:
        for vector in HASHES:
            project, name = given(vector, "project"), given(vector, "name")
            if not is_allowed(project):
                refused["project"] += 1
                with pytest.raises(libchat.InvalidArgument):
                    face.open(project, "ana")
            if not (is_text(name) and name):
                refused["thread"] += 1
                for call in (ana.history, ana.watch, lambda thread: ana.send(thread, "hi")):
                    with pytest.raises(libchat.InvalidArgument):
                        call(name)
    assert min(refused.values()) > 0


def expected_of(fields: dict[str, Any]) -> dict[str, Any]:
    """What a message says of the fields that Go found."""
    return {
        "id": fields["id"],
        "sender": fields["from"],
        "body": fields["body"],
        "reply_to": fields["reply_to"] or None,
        "sent_at": fields["time_unix_s"] * 10**9 + fields["time_nanos"],
    }


def found_of(message: libchat.Message) -> dict[str, Any]:
    sent_at = libchat.Message(time=message.to_dict()["sent_at"]).time_ns
    keys = ("id", "sender", "body", "reply_to")
    return {key: getattr(message, key) for key in keys} | {"sent_at": sent_at}


@pytest.mark.parametrize("file", ["payloads.json", "envelopes.json"])
def test_every_payload_gets_the_verdict_of_go(chat: libchat.Manager, file: str) -> None:
    expected = []
    for vector in vectors(file):
        payload = base64.b64decode(vector.get("payload_b64") or vector["json_b64"])
        stored = json.loads(chat.request(f"chat.{chat.project}.0badcafe", payload))
        assert "seq" in stored, vector["n"]
        fields = vector.get("fields") or vector["decoded"]
        accepted = vector.get("accept", True)
        expected.append((vector["n"], expected_of(fields) if accepted else "malformed"))
    with chat.watch_all(start="all") as watch:
        for number, wanted in expected:
            match watch.next_event(PATIENCE):
                case libchat.Message() as message:
                    assert found_of(message) == wanted, number
                    # And a peer's words make nothing of it unusable.
                    assert repr(message)
                    assert libchat.Message(**message.to_dict()) == message
                case libchat.Malformed():
                    assert wanted == "malformed", number
                case other:
                    pytest.fail(f"vector {number}: {other}")
    assert chat.stats()["malformed"] == sum(wanted == "malformed" for _, wanted in expected)


@faces
def test_a_message_is_stored_as_the_original_writes_it(face, project: str) -> None:
    with face.open(project, "ana <&>") as ana:
        receipt = ana.send("pl<an", 'a<b>&\u2028"\\\n😀', reply_to="job-6", headers={"k": "v"})
        [message] = ana.history("pl<an")
        found = json.loads(ana.request(f"$JS.API.STREAM.MSG.GET.chat-{project}", '{"seq": 1}'))
    sent_at = message.to_dict()["sent_at"]
    assert base64.b64decode(found["message"]["data"]).decode() == (
        f'{{"id":"{receipt.id}","from":"ana \\u003c\\u0026\\u003e","thread":"{message.short}",'
        f'"body":"a\\u003cb\\u003e\\u0026\\u2028\\"\\\\\\n😀","timestamp":"{sent_at}",'
        f'"reply_to":"job-6","thread_name":"pl\\u003can"}}'
    )
    assert found["message"]["subject"] == f"chat.{project}.{message.short}"
    headers = base64.b64decode(found["message"]["hdrs"]).decode().split("\r\n")
    assert headers[0] == "NATS/1.0"
    assert sorted(filter(None, headers[1:])) == [f"Nats-Msg-Id: {receipt.id}", "k: v"]
