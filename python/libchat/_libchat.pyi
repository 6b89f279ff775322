"""The Rust part of libchat: values, watches, and the blocking face.

`import libchat` has all of it; `libchat.aio` has the same nouns and verbs for asyncio.

What is true of every call: names and options that break their rule raise InvalidArgument, which is
a ValueError, those of a wrong type TypeError. A duration is a number of seconds or a timedelta. A
datetime must be aware; those handed out are UTC. Every object may be used from any thread; a call
that waits lets other threads run, and Ctrl-C ends it.

What asks the server may raise Closed, Disconnected, Unauthorized and Server; `Raises` below lists
what is special.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Literal, Self, SupportsIndex, TypeAlias, final, overload

from ._responder import Responder
from ._types import Body, Duration, Event, Past, Path, Payload, Start, Thread

__version__: Final[str]

_Time: TypeAlias = dt.datetime | str
_Place: TypeAlias = Cursor | str

@final
class Cursor:
    """A place in a project's stream, from which any process can resume.

    Save it as text, `str(cursor)`, and make it again of that text. Cursors of one stream are in
    order; those of two streams, as before and after it was deleted and made anew, do not compare:
    InvalidArgument. A receipt's cursor knows less than that of its message, and is not equal to it:
    compare their `seq`.

    >>> cursor = libchat.Cursor("c1.18a3f.42.beef")
    >>> cursor.seq, str(cursor)
    (42, 'c1.18a3f.42.beef')
    >>> cursor > libchat.Cursor("c1.18a3f.41.0")
    True
    """

    def __new__(cls, text: str, /) -> Self: ...
    @property
    def seq(self) -> int:
        """The message's number in the stream, from 1 on; 0 is before the first."""

    def __lt__(self, other: Cursor, /) -> bool: ...
    def __le__(self, other: Cursor, /) -> bool: ...
    def __gt__(self, other: Cursor, /) -> bool: ...
    def __ge__(self, other: Cursor, /) -> bool: ...

@final
class Last:
    """Begins a watch or a history with the last `n` messages, at least 1; a watch goes on with what
    follows.

    >>> with libchat.open("shop", "ana") as chat:
    ...     for body in ("prices first", "then stock", "then ship"):
    ...         receipt = chat.send("plan", body)
    ...     print([message.body for message in chat.history("plan", start=libchat.Last(2))])
    ['then stock', 'then ship']
    """

    def __new__(cls, n: int, /) -> Self: ...

    __match_args__ = ("n",)

    n: Final[int]
    """How many."""

@final
class Message:
    """A stored message.

    Tests can make one of what they care for; the rest is empty.

    >>> with libchat.open("shop", "ana") as chat:
    ...     receipt = chat.send("plan", "prices first", headers={"lang": "en"})
    ...     message = chat.history("plan")[0]
    >>> message.sender, message.thread, message.body, message.headers["lang"]
    ('ana', 'plan', 'prices first', 'en')
    >>> message.id == receipt.id, message.cursor.seq
    (True, 1)
    >>> libchat.Message(sender="ben", body="hi").reply_to is None
    True
    """

    def __new__(
        cls,
        *,
        id: str = "",
        sender: str = "",
        thread: str = "",
        short: str = "00000000",
        body: str = "",
        reply_to: str | None = None,
        sent_at: _Time | None = None,
        time: _Time | None = None,
        time_ns: int | None = None,
        cursor: _Place | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Self: ...

    __match_args__ = (
        "id",
        "sender",
        "thread",
        "short",
        "body",
        "reply_to",
        "sent_at",
        "time",
        "cursor",
        "headers",
    )

    id: Final[str]
    """The sender's id of this message: 32 hex digits unless the sender chose one."""

    sender: Final[str]
    """Who wrote it, as the sender says; nothing proves it."""

    thread: Final[str]
    """The thread's name; "" if the sender did not store it, or it is not the name of `short`."""

    short: Final[str]
    """The thread's 8 hex digits, from the subject it was stored under."""

    body: Final[str]
    """The text."""

    reply_to: Final[str | None]
    """The id of the message this one answers."""

    sent_at: Final[dt.datetime]
    """The sender's clock when it was sent, UTC, to the microsecond."""

    time: Final[dt.datetime]
    """The server's clock when it was stored, UTC, to the microsecond."""

    time_ns: Final[int]
    """The same in Unix nanoseconds, exactly."""

    cursor: Final[Cursor]
    """Its place in the stream: resume from here to get what follows."""

    headers: Final[Mapping[str, str]]
    """Header fields, `traceparent` among them where the sender gave one."""

    def to_dict(self) -> dict[str, Any]:
        """The message as `libchat read --json` prints it: times RFC 3339, the cursor as text.

        `Message(**message.to_dict())` is the same message.

        >>> message = libchat.Message(sender="ben", body="hi")
        >>> message.to_dict()["time"]
        '1970-01-01T00:00:00Z'
        >>> libchat.Message(**message.to_dict()) == message
        True
        """

@final
class Receipt:
    """Proof that a message is stored.

    >>> with libchat.open("shop", "ana") as chat:
    ...     first = chat.send("plan", "prices first", id="job-7")
    ...     again = chat.send("plan", "prices first", id="job-7")
    >>> first.id, first.duplicate
    ('job-7', False)
    >>> again.cursor == first.cursor, again.duplicate
    (True, True)
    """

    def __new__(cls, id: str, cursor: _Place | None = None, duplicate: bool = False) -> Self: ...

    __match_args__ = ("id", "cursor", "duplicate")

    id: Final[str]
    """The message's id: the caller's, or the one drawn for it."""

    cursor: Final[Cursor | None]
    """Where it is stored; None if this agent may not read the stream's information."""

    duplicate: Final[bool]
    """It was stored before, under the same id; the cursor is the first copy's."""

    def to_dict(self) -> dict[str, Any]:
        """The receipt as `libchat send --json` prints it.

        >>> libchat.Receipt(id="job-7").to_dict()
        {'id': 'job-7', 'cursor': None, 'duplicate': False}
        """

@final
class Gap:
    """Messages after `after` up to `until` expired or were purged before they could be delivered.

    Whether any of them was of the watched thread can no longer be told.

    >>> match libchat.Gap(after="c1.18a3f.4.0", until="c1.18a3f.9.0"):
    ...     case libchat.Gap(after, until):
    ...         print("gone:", after.seq + 1, "to", until.seq)
    gone: 5 to 9
    """

    def __new__(cls, after: _Place, until: _Place) -> Self: ...

    __match_args__ = ("after", "until")

    after: Final[Cursor]
    """The last place before the gap."""

    until: Final[Cursor]
    """The last place within the gap."""

    def to_dict(self) -> dict[str, Any]:
        """The event as `libchat tail --json` prints it.

        >>> libchat.Gap(after="c1.18a3f.4.0", until="c1.18a3f.9.0").to_dict()
        {'event': 'gap', 'after': 'c1.18a3f.4.0', 'until': 'c1.18a3f.9.0'}
        """

@final
class CaughtUp:
    """Once in a watch: all that was stored when it began is delivered. The first event of a watch
    that starts with new messages.

    >>> with libchat.open("shop", "ana") as chat:
    ...     with chat.watch("plan") as watch:
    ...         event = watch.next_event(timeout=10)
    >>> isinstance(event, libchat.CaughtUp)
    True
    """

    def __new__(cls, cursor: _Place) -> Self: ...

    __match_args__ = ("cursor",)

    cursor: Final[Cursor]
    """Everything up to here is delivered."""

    def to_dict(self) -> dict[str, Any]:
        """The event as `libchat tail --json` prints it.

        >>> libchat.CaughtUp(cursor="c1.18a3f.9.0").to_dict()
        {'event': 'caught_up', 'cursor': 'c1.18a3f.9.0'}
        """

@final
class Reset:
    """The stream was deleted and made anew, restored or rolled back; all of today's follows.

    >>> libchat.Reset(cursor="c1.18a3f.0.0").cursor.seq
    0
    """

    def __new__(cls, cursor: _Place) -> Self: ...

    __match_args__ = ("cursor",)

    cursor: Final[Cursor]
    """The beginning of today's stream."""

    def to_dict(self) -> dict[str, Any]:
        """The event as `libchat tail --json` prints it.

        >>> libchat.Reset(cursor="c1.18a3f.0.0").to_dict()
        {'event': 'reset', 'cursor': 'c1.18a3f.0.0'}
        """

@final
class Malformed:
    """What is stored at `cursor` is no message: another program wrote it.

    >>> libchat.Malformed(cursor="c1.18a3f.9.0").cursor.seq
    9
    """

    def __new__(cls, cursor: _Place) -> Self: ...

    __match_args__ = ("cursor",)

    cursor: Final[Cursor]
    """Its place."""

    def to_dict(self) -> dict[str, Any]:
        """The event as `libchat tail --json` prints it.

        >>> libchat.Malformed(cursor="c1.18a3f.9.0").to_dict()
        {'event': 'malformed', 'cursor': 'c1.18a3f.9.0'}
        """

@final
class Stalled:
    """For 10 s there has been no working source; nothing is lost, delivery waits for Resumed.

    >>> libchat.Stalled(reason="no server").reason
    'no server'
    """

    def __new__(cls, reason: str) -> Self: ...

    __match_args__ = ("reason",)

    reason: Final[str]
    """What stands in the way, for people."""

    def to_dict(self) -> dict[str, Any]:
        """The event as `libchat tail --json` prints it.

        >>> libchat.Stalled(reason="no server").to_dict()
        {'event': 'stalled', 'reason': 'no server'}
        """

@final
class Resumed:
    """The source works again after Stalled.

    >>> libchat.Resumed() == libchat.Resumed()
    True
    """

    def __new__(cls) -> Self: ...

    __match_args__ = ()

    def to_dict(self) -> dict[str, Any]:
        """The event as `libchat tail --json` prints it.

        >>> libchat.Resumed().to_dict()
        {'event': 'resumed'}
        """

@final
class History(Sequence[Message]):
    """Past messages, oldest first: a sequence that also says where it ended and what was missing.

    >>> with libchat.open("shop", "ana") as chat:
    ...     for body in ("prices first", "then stock", "then ship"):
    ...         receipt = chat.send("plan", body)
    ...     page = chat.history("plan", limit=2)
    >>> len(page), page[0].body, [message.body for message in page[1:]]
    (2, 'prices first', ['then stock'])
    >>> page.truncated, page.next == page[-1].cursor
    (True, True)
    """

    def __new__(
        cls,
        messages: Iterable[Message],
        truncated: bool = False,
        next: _Place | None = None,
        gaps: Iterable[Gap] = (),
        malformed: int = 0,
    ) -> Self: ...

    __match_args__ = ("messages", "truncated", "next", "gaps", "malformed")

    messages: Final[tuple[Message, ...]]
    """The messages as a tuple."""

    truncated: Final[bool]
    """A bound was reached before the end: go on from `next`."""

    next: Final[Cursor]
    """Where this page ended: pass it as `start` to go on, now or later."""

    gaps: Final[tuple[Gap, ...]]
    """What expired or was purged while it was read."""

    malformed: Final[int]
    """How many stored payloads were no message."""

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: SupportsIndex, /) -> Message: ...
    @overload
    def __getitem__(self, index: slice, /) -> Sequence[Message]: ...
    def to_dict(self) -> dict[str, Any]:
        """The page and its messages as JSON has them.

        >>> page = libchat.History(messages=[libchat.Message(body="hi")])
        >>> page.to_dict()["messages"][0]["body"]
        'hi'
        """

@final
class ThreadSummary:
    """One thread of a listing. Every verb that takes a thread takes it.

    >>> with libchat.open("shop", "ana") as chat:
    ...     receipt = chat.send("plan", "prices first")
    ...     thread = chat.list_threads()[0]
    ...     receipt = chat.send(thread, "then stock")
    >>> thread.name, thread.message_count, thread.last_sender, thread.last_body
    ('plan', 1, 'ana', 'prices first')
    """

    def __new__(
        cls,
        *,
        name: str = "",
        short: str = "00000000",
        last_activity: _Time | None = None,
        message_count: int = 0,
        last_sender: str = "",
        last_body: str = "",
        cursor: _Place | None = None,
    ) -> Self: ...

    __match_args__ = (
        "name",
        "short",
        "last_activity",
        "message_count",
        "last_sender",
        "last_body",
        "cursor",
    )

    name: Final[str]
    """Its name; "" if the last message does not carry it."""

    short: Final[str]
    """Its 8 hex digits."""

    last_activity: Final[dt.datetime | None]
    """When the last message was stored, by the server's clock, UTC; None if the newest 33 payloads
    are malformed."""

    message_count: Final[int]
    """How many messages are stored in it, malformed ones included."""

    last_sender: Final[str]
    """Who wrote the last message; "" if the newest 33 payloads are malformed."""

    last_body: Final[str]
    """The last message's text."""

    cursor: Final[Cursor]
    """The place of the newest message, malformed or not."""

    def to_dict(self) -> dict[str, Any]:
        """The thread as `libchat threads --json` prints it.

        >>> libchat.ThreadSummary(name="plan", message_count=2).to_dict()["message_count"]
        2
        """

@final
class Request:
    """What a handler is asked.

    >>> def price(request: libchat.Request) -> str:
    ...     return "7 " + request.payload.decode()
    >>> price(libchat.Request("shop.price", b"EUR"))
    '7 EUR'
    """

    def __new__(
        cls, subject: str, payload: Payload = b"", headers: Mapping[str, str] | None = None
    ) -> Self: ...

    __match_args__ = ("subject", "payload", "headers")

    subject: Final[str]
    """The subject it came on."""

    payload: Final[bytes]
    """What is asked: any bytes."""

    headers: Final[Mapping[str, str]]
    """Header fields, `traceparent` among them where the sender gave one."""

    def to_dict(self) -> dict[str, Any]:
        """The request as a dict of its fields.

        >>> libchat.Request("shop.price", "EUR").to_dict()
        {'subject': 'shop.price', 'payload': b'EUR', 'headers': {}}
        """

@final
class Watch:
    """What happens in one thread or many, once each and in stream order, until it is closed.

    Iterating gives messages, and waits for each without end. It ends when the watch is closed, and
    raises Closed when its manager is. A reader that is slower than the stream loses nothing and
    holds up nobody: beyond 256 events or 8 MiB it goes on from the stream itself. A step that times
    out or is interrupted loses nothing either.

    What expired before it could be delivered, and the like, is an event of its own in `events()`;
    plain iteration logs it, counts gaps, and goes on.

    >>> with libchat.open("shop", "ana") as chat, chat.watch("plan") as watch:
    ...     receipt = chat.send("plan", "prices first")
    ...     for message in watch:
    ...         print(message.sender, "says", message.body)
    ...         break
    ana says prices first
    """

    def __iter__(self) -> Self: ...
    def __next__(self) -> Message: ...
    def next(self, timeout: Duration | None = None) -> Message | None:
        """The next message; None if there is none in time, and only then.

        Args:
            timeout: how long to wait, in seconds; 0: not at all, None: without end.

        Raises:
            Closed: the watch or its manager was closed.

        >>> with libchat.open("shop", "ana") as chat, chat.watch("plan") as watch:
        ...     receipt = chat.send("plan", "prices first")
        ...     message = watch.next(timeout=10)
        ...     if message is not None:
        ...         print(message.body)
        ...     print(watch.next(timeout=0))
        prices first
        None
        """

    def next_event(self, timeout: Duration | None = None) -> Event | None:
        """The next event, messages and all; None if there is none in time, and only then.

        Args:
            timeout: how long to wait, in seconds; 0: not at all, None: without end.

        Raises:
            Closed: the watch or its manager was closed.

        >>> with libchat.open("shop", "ana") as chat, chat.watch("plan") as watch:
        ...     receipt = chat.send("plan", "prices first")
        ...     events = [watch.next_event(timeout=10), watch.next_event(timeout=10)]
        >>> [type(event).__name__ for event in events]
        ['CaughtUp', 'Message']
        """

    def events(self) -> Iterator[Event]:
        """Iterates events, messages and all, as iterating the watch itself gives messages.

        >>> with libchat.open("shop", "ana") as chat:
        ...     receipt = chat.send("plan", "prices first")
        ...     with chat.watch("plan", start="all") as watch:
        ...         for event in watch.events():
        ...             match event:
        ...                 case libchat.Message():
        ...                     print(event.body)
        ...                 case libchat.Gap(after, until):
        ...                     print("gone:", after, "to", until)
        ...                 case libchat.CaughtUp():
        ...                     break
        prices first
        """

    @property
    def gaps(self) -> int:
        """Gap events handed out or passed over so far."""

    @property
    def cursor(self) -> Cursor:
        """The place of what was last handed out, at first of the start.

        Save it when you have dealt with a message, and resume after it.

        >>> with libchat.open("shop", "ana") as chat:
        ...     with chat.watch("plan") as watch:
        ...         saved = str(watch.cursor)
        ...     receipt = chat.send("plan", "while you were away")
        ...     with chat.watch("plan", start=libchat.Cursor(saved)) as watch:
        ...         print(next(watch).body)
        while you were away
        """

    def fileno(self) -> int:
        """A descriptor for event loops, this watch's own, made at the first call.

        It is readable while `next(timeout=0)` may have something to say, the end included. Poll it;
        never read or close it. It goes when nothing uses the watch any more.

        Raises:
            System: the process has no descriptor left.

        >>> import select
        >>> with libchat.open("shop", "ana") as chat, chat.watch("plan") as watch:
        ...     receipt = chat.send("plan", "prices first")
        ...     message = None
        ...     while message is None:
        ...         readable, _, _ = select.select([watch], [], [])
        ...         message = watch.next(timeout=0)
        ...     print(message.body)
        prices first
        """

    def close(self) -> None:
        """Ends the watch, from any thread: whoever waits in it is told. Again: nothing.

        >>> with libchat.open("shop", "ana") as chat:
        ...     watch = chat.watch("plan")
        ...     watch.close()
        ...     print(list(watch))
        []
        """

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...

def open(
    project: str | None = None,
    agent: str | None = None,
    *,
    servers: str | Sequence[str] | None = None,
    context: str | None = None,
    creds: Path | None = None,
    nkey: Path | None = None,
    user: str | None = None,
    password: str | None = None,
    token: str | None = None,
    tls_ca: Path | None = None,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    tls_first: bool = False,
    js_domain: str | None = None,
    inbox_prefix: str | None = None,
    create: bool = True,
    max_retention_age: Duration | None = None,
    max_subscribers: int = 1024,
    timeout: Duration = 5.0,
) -> Manager:
    """Connects, and opens `project` as `agent`, making the project's stream if there is none.

    Of a stream that exists nothing is changed, but for `max_retention_age`. Rights to bind only, to
    send only or to read only are enough for what they allow.

    Where neither `servers` nor `context` is given, the server is looked for in LIBCHAT_URL,
    NATS_URL, NATS_CONTEXT, the nearest `.libchat/hub.json` upward from the current folder (as
    `libchat up` writes it), the nearest `.bones/hub-nats-url` upward, the selected context of the
    `nats` program, and at nats://127.0.0.1:4222. A login comes from the arguments, the address, the
    context or file, or from NATS_USER, NATS_CREDS, NATS_NKEY or NATS_TOKEN.

    Args:
        project: one word of up to 250 bytes, without dots, slashes, backslashes, wildcards and
            spaces, and no `$` first. None: LIBCHAT_PROJECT.
        agent: any text of up to 256 bytes. None: LIBCHAT_AGENT.
        servers: one address, several with commas, or a list: "nats://host:4222", "tls://host".
        context: a context of the `nats` program, by name. With `servers`, it says how to enter.
        creds: file with user JWT and seed. Give one of `creds`, `nkey` and `user`.
        nkey: file with an nkey seed.
        user: user name, with `password`; alone it is a token.
        password: password of `user`.
        token: token.
        tls_ca: PEM file of authorities to trust instead of the system's.
        tls_cert: PEM file of this client's certificate, with `tls_key`.
        tls_key: PEM file of the certificate's key.
        tls_first: begin TLS before the server speaks; the server must be set so too.
        js_domain: JetStream domain, when the stream is behind a leaf node.
        inbox_prefix: first part of reply subjects; "_INBOX" by default.
        create: make the stream if there is none.
        max_retention_age: how long the server keeps messages, in seconds, at least 0.1; 0: for
            ever. None: a stream is left as it is, and a new one keeps messages for ever.
        max_subscribers: how many watches may be live at once.
        timeout: deadline of the whole call, in seconds.

    Raises:
        Disconnected: nobody answers in time; the text lists every place looked at.
        Unauthorized: the server refuses the credentials.
        InvalidArgument: a name, a setting, an address or what a file holds breaks its rule.
        System: a file cannot be read.
        NotFound: there is no such context, or no stream and `create` is False.
        Conflict: the stream's settings would break what libchat promises; the text names them.
        Server: JetStream is off.

    >>> with libchat.open("shop", "ana") as chat:
    ...     print(chat.project, chat.agent)
    shop ana
    """

@final
class Manager:
    """One agent in one project: all verbs. `libchat.open` makes it; it reconnects by itself.

    Leave it by `with`, or close it. A program may also end without: what was not confirmed may be
    lost, no more.

    >>> with libchat.open("shop", "ana") as ana, libchat.open("shop", "ben") as ben:
    ...     with ben.watch("plan") as watch:
    ...         receipt = ana.send("plan", "Shall we ship on Friday?")
    ...         message = next(watch)
    ...     receipt = ben.send("plan", "Yes.", reply_to=message)
    ...     for message in ana.history("plan"):
    ...         print(f"{message.sender}: {message.body}")
    ana: Shall we ship on Friday?
    ben: Yes.
    """

    @property
    def project(self) -> str:
        """The project's name."""

    @property
    def agent(self) -> str:
        """This agent's name: the sender of what it sends."""

    def send(
        self,
        thread: Thread,
        body: Body,
        *,
        id: str | None = None,
        reply_to: str | Message | None = None,
        headers: Mapping[str, str] | None = None,
        unordered: bool = False,
        expect_last: Cursor | Literal["empty"] | None = None,
        timeout: Duration = 10.0,
    ) -> Receipt:
        """Stores one message in `thread` and waits for the server's word on it.

        Messages of one manager to one thread are stored in the order of the calls, across faults
        too. After any failure but OutcomeUnknown and Bug the message is not stored.

        Args:
            thread: its name, any text but ""; or a message or a listing's entry of that thread.
            body: text; bytes must be UTF-8. With its envelope it must fit the server's limit, 1 MiB
                unless it was set.
            id: idempotency key of 1 to 64 bytes, without control characters and outer spaces; None
                draws 32 hex digits. What is sent twice under one id, within the stream's
                duplicate window (2 minutes by default), is stored once; where another message of
                the project has the id, the send fails with Conflict.
            reply_to: the message that this one answers, or its id.
            headers: header fields to store with it. Names starting with "Nats-" are the server's;
                values have no line breaks and no outer spaces.
            unordered: do not wait behind earlier sends to the thread: faster, order not kept.
            expect_last: store only if the thread's newest message is at this place; "empty": if it
                has none.
            timeout: deadline of the whole call, in seconds.

        Raises:
            OutcomeUnknown: the message may be stored. Send again with the same id (`error.id`): the
                server drops the copy.
            Timeout, Disconnected: nothing was stored.
            TooLarge: the server's limit is smaller than this message.
            Conflict: `expect_last`: the thread has moved on.
            NotFound: the stream was deleted.

        >>> with libchat.open("shop", "ana") as chat:
        ...     receipt = chat.send("plan", "prices first", id="job-7")
        ...     print("stored", receipt.id)
        ...     try:
        ...         chat.send("plan", "then stock", expect_last="empty")
        ...     except libchat.Conflict:
        ...         print("somebody was here before")
        stored job-7
        somebody was here before
        """

    def watch(self, thread: Thread, *, start: Start = "new", skip_own: bool = False) -> Watch:
        """Watches one thread.

        Returns when the watch is set up, within 10 s: with "new" every message stored after that is
        delivered, and none stored before the call.

        Args:
            thread: its name; or a message or a listing's entry of that thread.
            start: "new"; "all": with the oldest message stored; a cursor: after that place, or,
                where it is not of today's stream, with Reset and then everything; a datetime: with
                the first message stored at or after it; Last(n): with the last n.
            skip_own: leave out what this agent wrote itself.

        Raises:
            TooManySubscribers: the manager has as many watches as it may.
            NotFound: the stream was deleted.
            Timeout: it could not be set up in time.

        >>> with libchat.open("shop", "ana") as chat:
        ...     receipt = chat.send("plan", "prices first")
        ...     with chat.watch("plan", start="all") as watch:
        ...         print(next(watch).body)
        prices first
        """

    def watch_all(self, *, start: Start = "new", skip_own: bool = False) -> Watch:
        """Watches every thread of the project. As `watch` otherwise.

        Args:
            start: as in `watch`.
            skip_own: as in `watch`.

        >>> with libchat.open("shop", "ana") as chat, chat.watch_all() as watch:
        ...     receipts = [chat.send("plan", "prices first"), chat.send("stock", "12 left")]
        ...     for _ in receipts:
        ...         message = next(watch)
        ...         print(f"[{message.thread}] {message.body}")
        [plan] prices first
        [stock] 12 left
        """

    def watch_pattern(self, pattern: str, *, start: Start = "new", skip_own: bool = False) -> Watch:
        """Watches the threads whose short matches a NATS subject pattern. As `watch` otherwise.

        Args:
            pattern: "*", ">" or the 8 hex digits of a thread.
            start: as in `watch`.
            skip_own: as in `watch`.

        >>> with libchat.open("shop", "ana") as chat, chat.watch_pattern("*") as watch:
        ...     receipt = chat.send("plan", "prices first")
        ...     print(next(watch).short)
        46e7b33c
        """

    def history(
        self,
        thread: Thread,
        *,
        start: Past = "all",
        limit: int = 1000,
        max_bytes: int | None = None,
    ) -> History:
        """Past messages of a thread, oldest first, up to the stream's end as it was at the call.

        Args:
            thread: its name; or a message or a listing's entry of that thread.
            start: "all": with the oldest message stored; a cursor: after that place; a datetime:
                with the first message stored at or after it; Last(n): with the last n.
            limit: at most so many messages, at least 1.
            max_bytes: at most so many bytes of bodies, but always one message. None: no bound.

        Raises:
            Conflict: the cursor is of another stream, or the stream is made anew meanwhile.
            Timeout: it could not be read within 30 s; ask for less at a time.

        >>> with libchat.open("shop", "ana") as chat:
        ...     for body in ("prices first", "then stock", "then ship"):
        ...         receipt = chat.send("plan", body)
        ...     page = chat.history("plan", limit=2)
        ...     print([message.body for message in page], page.truncated)
        ...     page = chat.history("plan", start=page.next)
        ...     print([message.body for message in page], page.truncated)
        ['prices first', 'then stock'] True
        ['then ship'] False
        """

    def list_threads(self, *, timeout: Duration = 10.0) -> list[ThreadSummary]:
        """Every thread of the project, the most recently used first: complete, or an error.

        Its cost grows with the threads, not with the messages.

        Args:
            timeout: deadline of the whole call, in seconds.

        Raises:
            Timeout: it could not be read in time.

        >>> with libchat.open("shop", "ana") as chat:
        ...     for name in ("plan", "stock", "plan"):
        ...         receipt = chat.send(name, "hello")
        ...     for thread in chat.list_threads():
        ...         print(thread.name, thread.message_count)
        plan 2
        stock 1
        """

    def threads_for_agent(
        self, agent: str, max_threads: int = 20, *, timeout: Duration = 30.0
    ) -> list[ThreadSummary]:
        """The threads that `agent` has written in, the most recently used first: complete, or an
        error.

        Args:
            agent: its name.
            max_threads: at most so many, the most recently used ones.
            timeout: deadline of the whole call, in seconds.

        Raises:
            Timeout: it could not be read in time.
            Conflict: the stream was made anew meanwhile; ask again.

        >>> with libchat.open("shop", "ana") as ana, libchat.open("shop", "ben") as ben:
        ...     receipts = [ana.send("plan", "prices first"), ben.send("stock", "12 left")]
        ...     print([thread.name for thread in ana.threads_for_agent("ben")])
        ['stock']
        """

    def request(self, subject: str, payload: Payload = b"", *, timeout: Duration = 30.0) -> bytes:
        """Sends `payload` to whoever listens on `subject` and waits for the first answer.

        For answers at once, from who is there now; nothing is stored.

        Args:
            subject: a NATS subject without wildcards, of up to 1,024 bytes.
            payload: any bytes, up to the server's limit; a str goes as UTF-8.
            timeout: how long to wait for the answer, in seconds.

        Raises:
            NoResponders: nobody listens there; told at once.
            Timeout: no answer came in time; whether it was handled is not known.
            Remote: the handler failed (`error.remote_code`), where both ends are libchat.
            TooLarge: the server's limit is smaller.

        >>> with libchat.open("shop", "ana") as chat:
        ...     try:
        ...         chat.request("shop.price", "EUR")
        ...     except libchat.NoResponders:
        ...         print("nobody sells anything")
        nobody sells anything
        """

    def respond(
        self,
        subject: str,
        handler: Callable[[Request], Payload],
        *,
        concurrency: int = 1,
        queue_group: str | None = None,
    ) -> Responder:
        """Answers what is asked on `subject`, until the responder is closed.

        Returns when the server knows of it, within 10 s. Handlers run on daemon threads of
        Python's. 256 requests (8 MiB) wait for them at most; who asks further ones gets Remote
        "busy".

        Args:
            subject: a NATS subject, of up to 1,024 bytes; wildcards may stand in it.
            handler: gets the request, gives the answer: any bytes; a str goes as UTF-8. When it
                raises Remote, the one who asks gets that; any other exception is logged, and told
                as Remote "handler_failed" without its text.
            concurrency: how many handlers may run at once, 1 to 1,024.
            queue_group: share the requests with the other responders of this group. None: every
                responder gets each.

        >>> def price(request: libchat.Request) -> str:
        ...     return "7 " + request.payload.decode()
        >>> with libchat.open("shop", "ana") as ana, libchat.open("shop", "ben") as ben:
        ...     with ben.respond("shop.price", price):
        ...         print(ana.request("shop.price", "EUR"))
        b'7 EUR'
        """

    def ask(self, agent: str, payload: Payload, *, timeout: Duration = 30.0) -> bytes:
        """Asks an agent of this project: `request` on its own subject.

        Args:
            agent: its name, which must be one for a subject too: no spaces and wildcards, no dot at
                either end, nor two in a row.
            payload: any bytes, up to the server's limit; a str goes as UTF-8.
            timeout: how long to wait for the answer, in seconds.

        Raises:
            NoResponders: the agent does not answer now; told at once.
            Timeout: no answer came in time; whether it was handled is not known.
            Remote: the handler failed (`error.remote_code`).
            TooLarge: the server's limit is smaller.

        >>> with libchat.open("shop", "ana") as ana, libchat.open("shop", "ben") as ben:
        ...     with ben.answer(lambda request: "on it"):
        ...         print(ana.ask("ben", "are you there?"))
        b'on it'
        """

    def answer(self, handler: Callable[[Request], Payload], *, concurrency: int = 1) -> Responder:
        """Answers what is asked of this agent: `respond` on its own subject.

        Args:
            handler: as in `respond`.
            concurrency: how many handlers may run at once, 1 to 1,024.

        >>> def answer(request: libchat.Request) -> str:
        ...     raise libchat.Remote("no_such_city", "I know Paris and Rome only")
        >>> with libchat.open("shop", "ana") as ana, libchat.open("shop", "ben") as ben:
        ...     with ben.answer(answer):
        ...         try:
        ...             ana.ask("ben", "how far is Oslo?")
        ...         except libchat.Remote as error:
        ...             print(error.remote_code)
        no_such_city
        """

    def stats(self) -> Mapping[str, int]:
        """What this manager has counted since it was opened.

        `sent`, of these `duplicates` (stored before); `resent` (under the same id, for want of an
        answer); `delivered` to watches; events: `malformed`, `gaps`, `resets`; `detaches` (a watch
        was too slow for the live tail), `reopens` of the live tail, `reconnects`; and of now
        `watches`, `buffered_bytes`, `connected` (1: it is) and `polling` (1: the server has no
        consumer to spare).

        >>> with libchat.open("shop", "ana") as chat:
        ...     receipt = chat.send("plan", "prices first")
        ...     print(chat.stats()["sent"], chat.stats()["connected"])
        1 1
        """

    def close(self) -> None:
        """Ends everything this manager started, within 2 s. Again: nothing.

        Watches and responders end, sends under way raise OutcomeUnknown, every later call raises
        Closed.

        >>> chat = libchat.open("shop", "ana")
        >>> chat.close()
        >>> try:
        ...     chat.send("plan", "prices first")
        ... except libchat.Closed:
        ...     print("too late")
        too late
        """

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...

# What libchat's own Python files use.

@final
class Bell:
    def __new__(cls) -> Self: ...
    def fileno(self) -> int: ...
    def take(self) -> list[tuple[int, Any, BaseException | None]]: ...
    def close(self) -> None: ...

@final
class Call:
    token: Final[int]

@final
class Events:
    def __iter__(self) -> Self: ...
    def __next__(self) -> Event: ...

@final
class Requests:
    def next(self) -> tuple[Request, Answer]: ...
    def stopped(self, timeout: Duration | None) -> bool: ...
    def stop(self) -> None: ...

@final
class Answer:
    def reply(self, payload: Payload) -> None: ...
    def fail(self, code: str, text: str) -> None: ...

def _build(class_: type[Any], dict_: dict[str, Any], /) -> Any: ...
def _check_code(code: str) -> None: ...
def _check_process() -> None: ...
def _classes() -> list[tuple[str, str]]: ...
def _leave() -> None: ...
def _next_records() -> tuple[list[tuple[int, str]], int]: ...
def _seconds(timeout: Duration) -> float: ...
def _start_server(folder: Path, nats_server: Path | None) -> str: ...
def _stop_server(folder: Path) -> bool: ...
