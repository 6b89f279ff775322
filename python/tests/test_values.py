"""Values: what is handed out can be compared, kept, shown, sent elsewhere, and made again."""

import copy
import datetime as dt
import functools
import itertools
import json
import operator
import pickle
from collections.abc import Mapping
from typing import Any

import libchat
import pydantic
import pytest

AT = "c1.18a3f.42.beef"
LATER = "c1.18a3f.43.0"

MESSAGE = libchat.Message(
    id="job-7",
    sender="ana",
    thread="plan",
    short="d0825bc5",
    body="Grüße 😀\n",
    reply_to="job-6",
    sent_at="2026-01-02T03:04:05.006007008Z",
    time_ns=1_767_323_045_123_456_789,
    cursor=AT,
    headers={"traceparent": "00-ab-cd-01", "lang": "en"},
)

# One of each class with everything said, one with as little as may be.
VALUES = [
    MESSAGE,
    libchat.Message(),
    libchat.Receipt(id="job-7", cursor=AT, duplicate=True),
    libchat.Receipt(id=""),
    libchat.Gap(after=AT, until=LATER),
    libchat.CaughtUp(cursor=AT),
    libchat.Reset(cursor=AT),
    libchat.Malformed(cursor=AT),
    libchat.Stalled(reason="no server"),
    libchat.Resumed(),
    libchat.ThreadSummary(
        name="plan",
        short="d0825bc5",
        last_activity="2026-01-02T03:04:05.006007008Z",
        message_count=2**64 - 1,
        last_sender="ana",
        last_body="hi",
        cursor=AT,
    ),
    libchat.ThreadSummary(),
    libchat.History(
        messages=[MESSAGE, libchat.Message()],
        truncated=True,
        next=LATER,
        gaps=[libchat.Gap(after=AT, until=LATER)],
        malformed=3,
    ),
    libchat.History([]),
    # Of these there is no JSON, or no dict.
    libchat.Request("shop.price", b"\xff\x00", {"lang": "en"}),
    libchat.Request("shop.price"),
    libchat.Cursor(AT),
    libchat.Last(3),
]
EVENTS = [value for value in VALUES if "event" in getattr(value, "to_dict", dict)()]
of_each = pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)


def fields(value: Any) -> list[str]:
    """The names of what a value has, whether it matches on them or not."""
    own = vars(type(value))
    return [name for name in own if not name.startswith("_") and not callable(own[name])]


@of_each
def test_a_value_is_frozen(value: Any) -> None:
    for name in [*fields(value), "anything"]:
        with pytest.raises(AttributeError):
            setattr(value, name, None)
        with pytest.raises(AttributeError):
            delattr(value, name)


def test_headers_are_frozen_too() -> None:
    for headers in (MESSAGE.headers, libchat.Request("a", headers={"lang": "en"}).headers):
        assert isinstance(headers, Mapping)
        with pytest.raises(TypeError):
            headers["lang"] = "de"  # type: ignore[index]
        assert headers["lang"] == "en"


@of_each
def test_a_value_is_equal_to_its_like_alone_and_hashes_alike(value: Any) -> None:
    twin = pickle.loads(pickle.dumps(value))
    assert twin is not value
    assert twin == value
    others = [other for other in VALUES if other is not value]
    assert all(value != other for other in others)
    assert value != "a text"
    assert value != None  # noqa: E711
    if isinstance(value, libchat.History):
        with pytest.raises(TypeError, match="unhashable type"):
            hash(value)
    else:
        assert hash(twin) == hash(value)
        assert {value: 1}[twin] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"id": "other"},
        {"sender": "ben"},
        {"thread": "stock"},
        {"short": "00000001"},
        {"body": "other"},
        {"reply_to": None},
        {"reply_to": ""},
        {"sent_at": "2026-01-02T03:04:05.006007009Z"},
        {"time_ns": 1_767_323_045_123_456_790},
        {"cursor": LATER},
        {"headers": {}},
        {"headers": {"lang": "de", "traceparent": "00-ab-cd-01"}},
    ],
    ids=str,
)
def test_messages_that_differ_in_one_thing_are_not_equal(change: dict[str, Any]) -> None:
    assert libchat.Message(**(MESSAGE.to_dict() | change)) != MESSAGE


def test_the_order_of_headers_and_the_zone_of_a_time_make_no_difference() -> None:
    turned = dict(reversed(MESSAGE.headers.items()))
    there = MESSAGE.sent_at.astimezone(dt.timezone(dt.timedelta(hours=9)))
    whole = libchat.Message(sent_at=MESSAGE.sent_at, headers=MESSAGE.headers)
    other = libchat.Message(sent_at=there, headers=turned)
    assert other == whole
    assert hash(other) == hash(whole)


@of_each
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_value_survives_pickling_and_copying(value: Any, protocol: int) -> None:
    for twin in (
        pickle.loads(pickle.dumps(value, protocol)),
        copy.copy(value),
        copy.deepcopy([value])[0],
    ):
        assert type(twin) is type(value)
        assert twin == value
        assert repr(twin) == repr(value)


def arguments(fields: dict[str, Any]) -> dict[str, Any]:
    """What a class is called with: an event's dict says besides which event it is."""
    return {name: value for name, value in fields.items() if name != "event"}


@of_each
def test_a_dict_of_a_value_makes_it_again(value: Any) -> None:
    if isinstance(value, libchat.Cursor):
        assert libchat.Cursor(str(value)) == value
    elif isinstance(value, libchat.Last):
        assert libchat.Last(value.n) == value
    else:
        assert type(value)(**arguments(value.to_dict())) == value


@pytest.mark.parametrize("value", VALUES[:-4], ids=lambda value: type(value).__name__)
def test_a_dict_of_a_value_can_be_json(value: Any) -> None:
    again = json.loads(json.dumps(value.to_dict(), sort_keys=True))
    assert type(value)(**arguments(again)) == value


def test_events_say_which_they_are() -> None:
    words = {type(event).__name__: event.to_dict()["event"] for event in EVENTS}
    assert words == {
        "Gap": "gap",
        "CaughtUp": "caught_up",
        "Reset": "reset",
        "Malformed": "malformed",
        "Stalled": "stalled",
        "Resumed": "resumed",
    }


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (libchat.Cursor(AT), "Cursor('c1.18a3f.42.beef')"),
        (libchat.Last(3), "Last(3)"),
        (libchat.Resumed(), "Resumed()"),
        (libchat.Stalled("no 'server'"), "Stalled(reason=\"no 'server'\")"),
        (
            libchat.Receipt(id="job-7", cursor=AT),
            "Receipt(id='job-7', cursor=Cursor('c1.18a3f.42.beef'), duplicate=False)",
        ),
        (
            libchat.Request("a.b", b"\xff"),
            "Request(subject='a.b', payload=b'\\xff', headers=mappingproxy({}))",
        ),
        (
            libchat.History([]),
            "History(messages=(), truncated=False, next=Cursor('c1.0.0.0'), gaps=(), malformed=0)",
        ),
    ],
    ids=lambda it: type(it).__name__,
)
def test_a_value_shows_what_it_holds(value: Any, shown: str) -> None:
    assert repr(value) == shown


@of_each
def test_a_value_names_itself_and_its_fields_when_it_is_shown(value: Any) -> None:
    shown = repr(value)
    assert shown.startswith(f"{type(value).__name__}(")
    names = getattr(type(value), "__match_args__", ())
    if not isinstance(value, libchat.Last):
        assert all(f"{name}=" in shown for name in names)
    assert type(value).__module__ == "libchat"


# Matching


def test_values_match_by_position_and_by_name() -> None:
    def told(event: Any) -> str:
        match event:
            case libchat.Message(id, sender, thread, short, body, reply_to=str()):
                return f"{sender} replied in {thread} ({short}): {body.strip()} {id}"
            case libchat.Message(sender=sender):
                return f"{sender} said something"
            case libchat.Gap(after, until) if until > after:
                return f"gap of {until.seq - after.seq}"
            case libchat.CaughtUp(cursor) | libchat.Reset(cursor) | libchat.Malformed(cursor):
                return f"{type(event).__name__} at {cursor.seq}"
            case libchat.Stalled(reason):
                return f"stalled: {reason}"
            case libchat.Resumed():
                return "resumed"
            case libchat.Receipt(_, None, duplicate):
                return f"somewhere, {duplicate}"
            case libchat.Last(n):
                return f"last {n}"
            case libchat.Request(subject, payload):
                return f"{subject} {payload!r}"
            case libchat.History(messages, truncated=True):
                return f"{len(messages)} and more"
            case libchat.ThreadSummary(name=name, message_count=count):
                return f"{name} {count}"
        return "?"

    assert [told(value) for value in VALUES] == [
        "ana replied in plan (d0825bc5): Grüße 😀 job-7",
        " said something",
        "?",
        "somewhere, False",
        "gap of 1",
        "CaughtUp at 42",
        "Reset at 42",
        "Malformed at 42",
        "stalled: no server",
        "resumed",
        f"plan {2**64 - 1}",
        " 0",
        "2 and more",
        "?",
        "shop.price b'\\xff\\x00'",
        "shop.price b''",
        "?",
        "last 3",
    ]


# Times


def test_times_are_aware_utc_and_keep_their_nanoseconds() -> None:
    for time in (MESSAGE.time, MESSAGE.sent_at):
        assert time.tzinfo is dt.UTC
        assert time.utcoffset() == dt.timedelta(0)
    assert MESSAGE.time_ns == 1_767_323_045_123_456_789
    assert MESSAGE.time == dt.datetime(2026, 1, 2, 3, 4, 5, 123456, dt.UTC)
    assert MESSAGE.to_dict()["time"] == "2026-01-02T03:04:05.123456789Z"
    assert MESSAGE.sent_at == dt.datetime(2026, 1, 2, 3, 4, 5, 6007, dt.UTC)
    assert MESSAGE.to_dict()["sent_at"] == "2026-01-02T03:04:05.006007008Z"


def test_a_stored_messages_nanoseconds_are_the_servers(chat: libchat.Manager) -> None:
    for _ in range(5):
        chat.send("plan", "hi")
    messages = chat.history("plan")
    # One in a thousand falls on a whole microsecond.
    assert any(message.time_ns % 1000 for message in messages)
    for message in messages:
        micros = dt.timedelta(microseconds=message.time_ns // 1000)
        assert message.time == dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + micros
        # The cursor's check is the low 32 bits of that time.
        assert int(str(message.cursor).split(".")[3], 16) == message.time_ns % 2**32


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({}, "1970-01-01T00:00:00Z"),
        ({"time": "2026-01-02T03:04:05Z"}, "2026-01-02T03:04:05Z"),
        ({"time": "2026-01-02T03:04:05+01:00"}, "2026-01-02T02:04:05Z"),
        ({"time": dt.datetime(2026, 1, 2, tzinfo=dt.UTC)}, "2026-01-02T00:00:00Z"),
        (
            {"time": dt.datetime(2026, 1, 2, 0, 0, 0, 1, dt.timezone(dt.timedelta(hours=-5)))},
            "2026-01-02T05:00:00.000001Z",
        ),
        ({"time": "2026-01-02T03:04:05Z", "time_ns": 1}, "1970-01-01T00:00:00.000000001Z"),
        ({"time_ns": -1}, "1969-12-31T23:59:59.999999999Z"),
        ({"time_ns": 2**63 - 1}, "2262-04-11T23:47:16.854775807Z"),
        ({"time": "3000-01-01T00:00:00Z"}, "3000-01-01T00:00:00Z"),
        ({"time": "0001-01-01T00:00:00Z"}, "0001-01-01T00:00:00Z"),
        ({"time": "9999-12-31T23:59:59.999999999Z"}, "9999-12-31T23:59:59.999999999Z"),
    ],
    ids=str,
)
def test_a_time_is_given_in_any_zone_and_kept(given: dict[str, Any], shown: str) -> None:
    message = libchat.Message(**given)
    assert message.to_dict()["time"] == message.to_dict()["sent_at"] == shown
    assert libchat.Message(**message.to_dict()) == message
    assert message.time.isoformat()[:19] == shown[:19]
    since = message.time - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    assert message.time_ns // 1000 == since // dt.timedelta(microseconds=1)


@pytest.mark.parametrize(
    "timestamp",
    [
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59-23:59",
        "9999-12-31T23:59:59.999999999Z",
    ],
)
def test_no_clock_of_a_peer_makes_a_message_unreadable(
    chat: libchat.Manager, timestamp: str
) -> None:
    envelope = json.dumps({"from": "bones", "body": "hi", "timestamp": timestamp})
    chat.request(f"chat.{chat.project}.0badcafe", envelope)
    [message] = chat.history(chat.list_threads()[0])
    assert "bones" in repr(message)
    assert message.sent_at.tzinfo is dt.UTC
    assert message.sent_at.year in (1, 9999)
    assert libchat.Message(**message.to_dict()) == message
    assert pickle.loads(pickle.dumps(message)) == message
    assert str(message.sent_at)


# Cursors


def test_cursors_of_one_stream_are_in_order() -> None:
    texts = ["c1.18a3f.0.0", "c1.18a3f.1.ffffffff", "c1.18a3f.2.0", "c1.18a3f.10.1"]
    cursors = [libchat.Cursor(text) for text in texts]
    assert sorted(set(cursors)) == cursors
    assert [cursor.seq for cursor in cursors] == [0, 1, 2, 10]
    for before, after in itertools.pairwise(cursors):
        assert before < after
        assert before <= after
        assert after > before
        assert not after <= before
    assert max(cursors).seq == 10


def test_cursors_of_two_streams_have_no_order() -> None:
    one, other = libchat.Cursor("c1.1.5.0"), libchat.Cursor("c1.2.6.0")
    assert one != other
    for compare in ("__lt__", "__le__", "__gt__", "__ge__"):
        with pytest.raises(libchat.InvalidArgument) as caught:
            getattr(one, compare)(other)
        text = "cursors c1.1.5.0 and c1.2.6.0: of two streams, without an order"
        assert str(caught.value) == text
        assert caught.value.hint == "the stream was made anew between them"
    with pytest.raises(TypeError):
        _ = one < "c1.1.6.0"  # type: ignore[operator]


def test_a_receipts_cursor_is_not_that_of_its_message_but_has_its_seq() -> None:
    receipts, messages = libchat.Cursor("c1.1.5.0"), libchat.Cursor("c1.1.5.beef")
    assert receipts != messages
    assert receipts.seq == messages.seq
    assert receipts <= messages <= receipts


# Fields of pydantic models


class Note(pydantic.BaseModel):
    """What a user keeps of a chat."""

    message: libchat.Message
    at: libchat.Cursor | None = None
    receipt: libchat.Receipt | None = None
    page: libchat.History | None = None
    thread: libchat.ThreadSummary | None = None
    last: list[libchat.Message] = []


NOTE = Note(
    message=MESSAGE,
    at=libchat.Cursor(AT),
    receipt=libchat.Receipt(id="job-7", cursor=AT),
    page=VALUES[12],
    thread=VALUES[10],
    last=[MESSAGE, libchat.Message(body="hi")],
)


def test_a_model_takes_values_and_keeps_them_as_they_are() -> None:
    assert NOTE.message is MESSAGE
    assert NOTE.model_dump()["message"] is MESSAGE
    assert Note.model_validate(NOTE.model_dump()) == NOTE
    assert NOTE.model_copy(deep=True) == NOTE


def test_a_model_goes_through_json_and_comes_back() -> None:
    text = NOTE.model_dump_json()
    assert json.loads(text)["message"] == MESSAGE.to_dict()
    assert json.loads(text)["at"] == AT
    assert Note.model_validate_json(text) == NOTE
    assert Note.model_validate(json.loads(text)) == NOTE, "and so do its dicts"
    assert NOTE.model_dump(mode="json") == json.loads(text)


def test_a_models_json_schema_can_be_made() -> None:
    for mode in ("validation", "serialization"):
        properties = Note.model_json_schema(mode=mode)["properties"]
        assert properties["message"]["type"] == "object"
        assert properties["at"]["anyOf"][0] == {"type": "string"}
        assert properties["last"]["type"] == "array"


@pytest.mark.parametrize(
    "wrong",
    [
        {"message": None},
        {"message": "a text"},
        {"message": {"bodi": "hi"}},
        {"message": {"body": 3}},
        {"message": {"time": "yesterday"}},
        {"message": {"cursor": "c9"}},
        {"message": {3: "hi"}},
        {"message": libchat.Last(3)},
        {"message": {}, "at": "c9"},
        {"message": {}, "at": 3},
        {"message": {}, "receipt": {}},
        {"message": {}, "page": {"messages": [3]}},
        {"message": {}, "thread": {"message_count": -1}},
    ],
    ids=str,
)
def test_what_is_no_value_is_a_validation_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(pydantic.ValidationError):
        Note(**wrong)


def test_a_field_of_several_classes_takes_each_as_itself() -> None:
    classes = [type(event) for event in EVENTS]
    for order in (classes, classes[::-1]):
        event = functools.reduce(operator.or_, order, libchat.Message)
        adapter = pydantic.TypeAdapter(list[event])  # type: ignore[valid-type]
        events = [MESSAGE, *EVENTS]
        assert adapter.validate_python(events) == events
        assert adapter.validate_json(adapter.dump_json(events)) == events


@of_each
def test_every_value_may_be_a_field(value: Any) -> None:
    adapter = pydantic.TypeAdapter(type(value))
    assert adapter.validate_python(value) is value
    assert adapter.json_schema()
    if not isinstance(value, libchat.Request):
        assert adapter.validate_json(adapter.dump_json(value)) == value
