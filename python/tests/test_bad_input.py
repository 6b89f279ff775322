"""What is refused, with the exception and the whole text that each wrong call gets."""

import datetime as dt
import traceback
from typing import Any

import libchat
import pytest
from test_aio import faces

INVALID = libchat.InvalidArgument
NAIVE = dt.datetime(2026, 1, 2)
HINT_AWARE = "hint: make it aware, as datetime.now(timezone.utc) is"
HINT_SURROGATE = 'hint: it holds a lone surrogate: decode bytes by utf-8 with errors="replace"'
HINT_CURSOR = "hint: a cursor reads c1.<hex>.<number>.<hex>, as a receipt or a message shows it"
LONG = "x" * 64 + '"…'

# The call, the exception's class, and its text with the notes that a traceback shows, which are of
# two kinds: what to do, and of which argument the text is.
CALLS = [
    # Threads, and names of other things.
    ('chat.send("", "x")', INVALID, "thread: must not be empty"),
    ('chat.watch("")', INVALID, "thread: must not be empty"),
    ('chat.history("")', INVALID, "thread: must not be empty"),
    (
        'chat.send(None, "x")',
        TypeError,
        "expected a thread's name, a Message or a ThreadSummary, got NoneType\n"
        "while processing 'thread'",
    ),
    (
        'chat.send(b"plan", "x")',
        TypeError,
        "expected a thread's name, a Message or a ThreadSummary, got bytes\n"
        "while processing 'thread'",
    ),
    (
        'chat.send("pl\\ud800an", "x")',
        INVALID,
        f"a text that cannot be written as UTF-8\n{HINT_SURROGATE}\nwhile processing 'thread'",
    ),
    ('chat.watch_pattern("")', INVALID, "pattern: must not be empty"),
    (
        'chat.watch_pattern("a.>.b")',
        INVALID,
        "pattern \"a.>.b\": must have '>' only at the end",
    ),
    ('chat.watch_pattern("a b")', INVALID, "pattern \"a b\": must not contain ' '"),
    (
        "chat.watch_pattern(3)",
        TypeError,
        "'int' object is not an instance of 'str'\nwhile processing 'pattern'",
    ),
    ('chat.threads_for_agent("")', INVALID, "agent: must not be empty"),
    ('chat.ask("", "?")', INVALID, "agent: must not be empty"),
    ('chat.ask("a b", "?")', INVALID, "agent \"a b\": must not contain ' '"),
    ('chat.ask("*", "?")', INVALID, "agent \"*\": must not contain '*'"),
    ('chat.ask("a..b", "?")', INVALID, 'agent "a..b": must not have an empty token'),
    ('chat.request("")', INVALID, "subject: must not be empty"),
    ('chat.request("a.*")', INVALID, "subject \"a.*\": must not contain '*'"),
    ('chat.request("a\\r\\nb")', INVALID, "subject \"a\\r\\nb\": must not contain '\\r'"),
    ('chat.request(".a")', INVALID, 'subject ".a": must not have an empty token'),
    ('chat.request("x" * 1025)', INVALID, f'subject "{LONG}: must be at most 1024 bytes'),
    ('chat.respond("a.>.b", print)', INVALID, "subject \"a.>.b\": must have '>' only at the end"),
    ('chat.respond("a", print, queue_group="")', INVALID, "queue_group: must not be empty"),
    (
        'chat.respond("a", print, queue_group="a b")',
        INVALID,
        "queue_group \"a b\": must not contain ' '",
    ),
    # Bodies and payloads.
    ('chat.send("plan", b"a\\xffb")', INVALID, "body: not UTF-8 at byte 1"),
    (
        'chat.send("plan", "\\ud800")',
        INVALID,
        f"a text that cannot be written as UTF-8\n{HINT_SURROGATE}\nwhile processing 'body'",
    ),
    (
        'chat.send("plan", None)',
        TypeError,
        "expected str or bytes, got NoneType\nwhile processing 'body'",
    ),
    (
        'chat.send("plan", bytearray(b"x"))',
        TypeError,
        "expected str or bytes, got bytearray\nwhile processing 'body'",
    ),
    (
        'chat.request("a", {"b": 1})',
        TypeError,
        "expected str or bytes, got dict\nwhile processing 'payload'",
    ),
    # Options of send.
    ('chat.send("plan", "x", id="")', INVALID, "id: must not be empty"),
    ('chat.send("plan", "x", id="é" * 33)', INVALID, f'id "{"é" * 33}": must be at most 64 bytes'),
    (
        'chat.send("plan", "x", id=" a")',
        INVALID,
        'id " a": must not start or end with a space',
    ),
    ('chat.send("plan", "x", id="a\\nb")', INVALID, "id \"a\\nb\": must not contain '\\n'"),
    (
        'chat.send("plan", "x", id=7)',
        TypeError,
        "'int' object is not an instance of 'str'\nwhile processing 'id'",
    ),
    (
        'chat.send("plan", "x", reply_to=7)',
        TypeError,
        "expected a message's id or a Message, got int\nwhile processing 'reply_to'",
    ),
    ('chat.send("plan", "x", headers={"": "v"})', INVALID, "header: must not be empty"),
    (
        'chat.send("plan", "x", headers={"Nats-Msg-Id": "v"})',
        INVALID,
        'header "Nats-Msg-Id": names starting with Nats- are the server\'s',
    ),
    (
        'chat.send("plan", "x", headers={"nats-x": "v"})',
        INVALID,
        'header "nats-x": names starting with Nats- are the server\'s',
    ),
    (
        'chat.send("plan", "x", headers={"a b": "v"})',
        INVALID,
        "header \"a b\": must not contain ' '",
    ),
    (
        'chat.send("plan", "x", headers={"a": "1\\r\\nb: 2"})',
        INVALID,
        "header \"a\": its value must not contain '\\r'",
    ),
    (
        'chat.send("plan", "x", headers={"a": " v"})',
        INVALID,
        'header "a": its value must not start or end with a space',
    ),
    (
        'chat.send("plan", "x", headers={"a": 1})',
        TypeError,
        "'int' object is not an instance of 'str'\nwhile processing 'headers'",
    ),
    (
        'chat.send("plan", "x", headers=[("a", "1")])',
        TypeError,
        "expected a mapping of header fields, got list\nwhile processing 'headers'",
    ),
    (
        'chat.send("plan", "x", headers="a")',
        TypeError,
        "expected a mapping of header fields, got str\nwhile processing 'headers'",
    ),
    (
        'chat.send("plan", "x", unordered="yes")',
        TypeError,
        "'str' object is not an instance of 'bool'\nwhile processing 'unordered'",
    ),
    (
        'chat.send("plan", "x", expect_last="full")',
        INVALID,
        'expect_last "full": must be "empty"\n'
        "hint: or a Cursor; a cursor's text: Cursor(text)\nwhile processing 'expect_last'",
    ),
    (
        'chat.send("plan", "x", expect_last=7)',
        TypeError,
        "expected a Cursor or \"empty\", got int\nwhile processing 'expect_last'",
    ),
    # Durations.
    (
        'chat.send("plan", "x", timeout=-1)',
        INVALID,
        "a time of -1 s: must be 0 or more\nwhile processing 'timeout'",
    ),
    (
        'chat.ask("ben", "?", timeout=float("nan"))',
        INVALID,
        "a time of NaN s: must be 0 or more\nwhile processing 'timeout'",
    ),
    (
        'chat.request("a", timeout=dt.timedelta(seconds=-0.5))',
        INVALID,
        "a time of -0.5 s: must be 0 or more\nwhile processing 'timeout'",
    ),
    (
        'chat.list_threads(timeout="5")',
        TypeError,
        "expected seconds or a timedelta, got str\nwhile processing 'timeout'",
    ),
    (
        'chat.send("plan", "x", timeout=None)',
        TypeError,
        "expected seconds or a timedelta, got NoneType\nwhile processing 'timeout'",
    ),
    # Starts.
    (
        'chat.watch("plan", start="now")',
        INVALID,
        'start "now": must be "new" or "all"\n'
        "hint: or a Cursor, a datetime, Last(n); a cursor's text: Cursor(text)\n"
        "while processing 'start'",
    ),
    (
        'chat.watch_all(start="c1.18a3f.42.beef")',
        INVALID,
        'start "c1.18a3f.42.beef": must be "new" or "all"\n'
        "hint: or a Cursor, a datetime, Last(n); a cursor's text: Cursor(text)\n"
        "while processing 'start'",
    ),
    (
        'chat.watch("plan", start=NAIVE)',
        INVALID,
        "datetime 2026-01-02 00:00:00: without a time zone it names no instant\n"
        f"{HINT_AWARE}\nwhile processing 'start'",
    ),
    (
        'chat.history("plan", start=NAIVE.date())',
        TypeError,
        'expected "new", "all", a Cursor, an aware datetime or Last(n), got date\n'
        "while processing 'start'",
    ),
    (
        'chat.watch("plan", start=42)',
        TypeError,
        'expected "new", "all", a Cursor, an aware datetime or Last(n), got int\n'
        "while processing 'start'",
    ),
    (
        'chat.watch("plan", start=libchat.Message())',
        TypeError,
        'expected "new", "all", a Cursor, an aware datetime or Last(n), got Message\n'
        "while processing 'start'",
    ),
    (
        'chat.history("plan", start="new")',
        INVALID,
        "history: start: new messages are not history",
    ),
    # Counts.
    ('chat.history("plan", limit=0)', INVALID, "history: limit: must be > 0"),
    ('chat.history("plan", limit=-1)', INVALID, "limit -1: must be 0 or more"),
    (
        'chat.history("plan", limit=1.5)',
        TypeError,
        "limit: 'float' object cannot be interpreted as an integer",
    ),
    ('chat.history("plan", max_bytes=-1)', INVALID, "max_bytes -1: must be 0 or more"),
    ('chat.threads_for_agent("ana", -1)', INVALID, "max_threads -1: must be 0 or more"),
    # Handlers.
    ("chat.answer(None)", TypeError, "handler: expected a callable, got NoneType"),
    ('chat.respond("a", "b")', TypeError, "handler: expected a callable, got str"),
    (
        "chat.answer(print, concurrency=0)",
        INVALID,
        "concurrency 0: must be between 1 and 1024",
    ),
    (
        'chat.respond("a", print, concurrency=1025)',
        INVALID,
        "concurrency 1025: must be between 1 and 1024",
    ),
    (
        "chat.answer(print, concurrency=1.5)",
        TypeError,
        "'float' object cannot be interpreted as an integer",
    ),
    # Steps of a watch.
    (
        'chat.watch("plan").next(-1)',
        INVALID,
        "a time of -1 s: must be 0 or more\nwhile processing 'timeout'",
    ),
    (
        'chat.watch("plan").next_event("5")',
        TypeError,
        "expected seconds or a timedelta, got str\nwhile processing 'timeout'",
    ),
    (
        "chat.answer(print).wait(-1)",
        INVALID,
        "a time of -1 s: must be 0 or more\nwhile processing 'timeout'",
    ),
    # Arguments that do not fit.
    (
        'chat.send("plan")',
        TypeError,
        "Manager.send() missing 1 required positional argument: 'body'",
    ),
    (
        'chat.send("plan", "x", colour="red")',
        TypeError,
        "Manager.send() got an unexpected keyword argument 'colour'",
    ),
    (
        'chat.watch("plan", last=3)',
        TypeError,
        "Manager.watch() got an unexpected keyword argument 'last'",
    ),
    # Opening.
    ('open("", "ana")', INVALID, "project: must not be empty"),
    ('open("a.b", "ana")', INVALID, "project \"a.b\": must not contain '.'"),
    ('open("a b", "ana")', INVALID, "project \"a b\": must not contain ' '"),
    ('open("$SYS", "ana")', INVALID, "project \"$SYS\": must not start with '$'"),
    ('open("x" * 251, "ana")', INVALID, f'project "{LONG}: must be at most 250 bytes'),
    ('open("shop", "")', INVALID, "agent: must not be empty"),
    ('open("shop", "x" * 257)', INVALID, f'agent "{LONG}: must be at most 256 bytes'),
    (
        "open()",
        INVALID,
        "open: no project is given, nor is LIBCHAT_PROJECT set\n"
        'hint: name it: libchat.open("shop", "ana")',
    ),
    (
        'open("shop")',
        INVALID,
        "open: no agent is given, nor is LIBCHAT_AGENT set\n"
        'hint: name it: libchat.open("shop", "ana")',
    ),
    (
        'open("shop", "ana", servers=[])',
        INVALID,
        "servers: the list is empty\nhint: leave it out\nwhile processing 'servers'",
    ),
    (
        'open("shop", "ana", servers="http://127.0.0.1")',
        INVALID,
        'servers: server 127.0.0.1: scheme "http": only nats and tls are supported',
    ),
    ('open("shop", "ana", max_subscribers=0)', INVALID, "max_subscribers: must be > 0"),
    ('open("shop", "ana", max_subscribers=-1)', INVALID, "max_subscribers -1: must be 0 or more"),
    (
        'open("shop", "ana", max_retention_age=0.01)',
        INVALID,
        "retention 10ms: must be at least 100 ms",
    ),
    (
        'open("shop", "ana", max_retention_age=-1)',
        INVALID,
        "a time of -1 s: must be 0 or more\nwhile processing 'max_retention_age'",
    ),
    (
        'open("shop", "ana", user="a", creds="b")',
        INVALID,
        "user, creds_file, nkey_file: give one of them",
    ),
    ('open("shop", "ana", tls_cert="a")', INVALID, "tls_cert_file: goes with tls_key_file only"),
    ('open("shop", "ana", inbox_prefix="a b")', INVALID, 'inbox_prefix: "a b" is not a subject'),
    ('open("shop", "ana", js_domain="a.b")', INVALID, 'js_domain: "a.b" is not one subject token'),
    (
        'open("chat", "ana").ask("ben", "?")',
        INVALID,
        'project "chat": may not ask or answer: the subject would be one of stream chat-ask',
    ),
]

# Values made by hand, and what is of no face.
MADE = [
    ("Cursor('')", INVALID, f'cursor "": not a cursor\n{HINT_CURSOR}'),
    ("Cursor('c2.1.1.1')", INVALID, f'cursor "c2.1.1.1": not a cursor\n{HINT_CURSOR}'),
    ("Cursor('c1.1.-1.1')", INVALID, f'cursor "c1.1.-1.1": not a cursor\n{HINT_CURSOR}'),
    ("Cursor('c1.1.1.1 ')", INVALID, f'cursor "c1.1.1.1 ": not a cursor\n{HINT_CURSOR}'),
    (
        "Cursor(42)",
        TypeError,
        "'int' object is not an instance of 'str'\nwhile processing 'text'",
    ),
    ("Last(0)", INVALID, "Last 0: must be 1 or more"),
    ("Last(-1)", INVALID, "Last -1: must be 0 or more"),
    ("Last('3')", TypeError, "Last: 'str' object cannot be interpreted as an integer"),
    ("Last(2**64)", INVALID, f"Last {2**64}: must be below 2**64"),
    ("ThreadSummary(message_count=-1)", INVALID, "message_count -1: must be 0 or more"),
    ("History([], malformed=2**70)", INVALID, f"malformed {2**70}: must be below 2**64"),
    ("Message('hi')", TypeError, "Message.__new__() takes 0 positional arguments but 1 was given"),
    (
        "Message(bodi='hi')",
        TypeError,
        "Message.__new__() got an unexpected keyword argument 'bodi'",
    ),
    ("Message(short='D0825BC5')", INVALID, 'short "D0825BC5": must be 8 lower-case hex digits'),
    (
        "Message(time='yesterday')",
        INVALID,
        "time \"yesterday\": the 'year' component could not be parsed\n"
        "hint: it is read as RFC 3339\nwhile processing 'time'",
    ),
    (
        "Message(time=NAIVE)",
        INVALID,
        "datetime 2026-01-02 00:00:00: without a time zone it names no instant\n"
        f"{HINT_AWARE}\nwhile processing 'time'",
    ),
    (
        "Message(sent_at=0)",
        TypeError,
        "expected an aware datetime or its RFC 3339 text, got int\nwhile processing 'sent_at'",
    ),
    (
        "Message(cursor='here')",
        INVALID,
        f"cursor \"here\": not a cursor\n{HINT_CURSOR}\nwhile processing 'cursor'",
    ),
    ("History([3])", TypeError, "'int' object is not an instance of 'Message'"),
    ("History(3)", TypeError, "'int' object is not iterable"),
    (
        "Request('a', 3)",
        TypeError,
        "expected str or bytes, got int\nwhile processing 'payload'",
    ),
    ("Manager()", TypeError, "cannot create 'libchat.Manager' instances"),
    ("Watch()", TypeError, "cannot create 'libchat.Watch' instances"),
    ("LocalServer()", TypeError, "a LocalServer is made by libchat.local_server()"),
    (
        "local_server(3)",
        TypeError,
        "expected str, bytes or os.PathLike object, not int\nwhile processing 'folder'",
    ),
    (
        "Remote('code')",
        TypeError,
        "Remote.__init__() missing 1 required positional argument: 'text'",
    ),
    ("send", AttributeError, "module 'libchat' has no attribute 'send'"),
]


def said(error: BaseException) -> str:
    """The text, then the notes."""
    return "\n".join([str(error), *getattr(error, "__notes__", ())])


@faces
@pytest.mark.parametrize(("call", "error", "text"), CALLS, ids=[call for call, *_ in CALLS])
def test_a_wrong_call_is_refused(
    face, chat: libchat.Manager, call: str, error: type[Exception], text: str
) -> None:
    with face.open(chat.project, "ben") as ben:
        names = {"chat": ben, "open": face.open, "libchat": libchat, "dt": dt, "NAIVE": NAIVE}
        with pytest.raises(Exception) as caught:  # noqa: PT011
            eval(call, names)
        assert (type(caught.value), said(caught.value)) == (error, text)
        # And nothing was done.
        assert chat.list_threads() == []


@pytest.mark.parametrize(("call", "error", "text"), MADE, ids=[call for call, *_ in MADE])
def test_a_wrong_value_is_refused(call: str, error: type[Exception], text: str) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        eval(f"libchat.{call}", {"libchat": libchat, "NAIVE": NAIVE})
    assert (type(caught.value), said(caught.value)) == (error, text)


@faces
@pytest.mark.parametrize(
    "call",
    [
        'chat.history("plan", limit=2**64)',
        'chat.history("plan", limit=2**127)',
        'chat.history("plan", max_bytes=2**200)',
        'chat.threads_for_agent("ana", 2**200)',
        'open("shop", "ana", max_subscribers=2**200)',
        "libchat.Last(2**64)",
        "libchat.Last(2**200)",
        "libchat.Message(time_ns=2**200)",
        "libchat.ThreadSummary(message_count=2**64)",
        "libchat.History([], malformed=2**64)",
    ],
)
def test_a_number_that_is_too_large_is_refused_as_that(face, project: str, call: str) -> None:
    with face.open(project, "ana") as chat, pytest.raises(libchat.InvalidArgument) as caught:
        eval(call, {"chat": chat, "open": face.open, "libchat": libchat})
    assert "or more" not in str(caught.value)


@pytest.mark.parametrize(
    "call",
    [
        'chat.history("plan", limit=-(2**200))',
        "chat.answer(print, concurrency=-(2**200))",
        "libchat.Last(-(2**200))",
        "libchat.ThreadSummary(message_count=-1)",
        "libchat.History([], malformed=-1)",
    ],
)
def test_a_number_that_is_too_small_is_refused_like_others(
    chat: libchat.Manager, call: str
) -> None:
    with pytest.raises(libchat.InvalidArgument):
        eval(call, {"chat": chat, "libchat": libchat})


@faces
def test_an_argument_is_named_in_the_traceback(face, project: str) -> None:
    with face.open(project, "ana") as chat, pytest.raises(TypeError) as caught:
        chat.send("plan", 3)
    last = traceback.format_exception_only(caught.value)
    assert "".join(last) == "TypeError: expected str or bytes, got int\nwhile processing 'body'\n"


@pytest.mark.parametrize("value", [..., [], b"\xff", "\ud800", float("nan")], ids=repr)
@pytest.mark.parametrize(
    "argument", ["thread", "body", "id", "reply_to", "headers", "expect_last", "timeout"]
)
def test_no_argument_takes_what_is_none(chat: libchat.Manager, argument: str, value: Any) -> None:
    with pytest.raises((TypeError, libchat.InvalidArgument)):
        chat.send(**({"thread": "plan", "body": "x"} | {argument: value}))
    assert chat.list_threads() == []
