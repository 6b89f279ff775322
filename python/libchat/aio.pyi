"""libchat for asyncio: the nouns and verbs of `libchat`, with `async with`, `await`, `async for`.

Values, exceptions and what is true of every call are those of `libchat`. A manager, and what it
gives, belongs to the event loop that it was opened in. A step of a watch that times out or is
cancelled loses nothing; a send that is cancelled may be stored, so give it an id.
"""

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Mapping,
    Sequence,
)
from types import GenericAlias, TracebackType
from typing import Any, Generic, Literal, Self, TypeAlias, TypeVar, final

from ._libchat import Cursor, History, Message, Receipt, Request, ThreadSummary
from ._types import Body, Duration, Event, Past, Path, Payload, Start, Thread

_T_co = TypeVar("_T_co", covariant=True)
_Handler: TypeAlias = Callable[[Request], Payload | Awaitable[Payload]]

@final
class Opening(Generic[_T_co]):
    """What is about to be open: await it, or enter it by `async with`, which closes it in the end.

    It cannot be iterated: a watch that is set up only at its first step would miss what is sent
    before.

    >>> async def main():
    ...     async with libchat.aio.open("shop", "ana") as chat:
    ...         watch = await chat.watch("plan")
    ...         await watch.close()
    ...         async with chat.watch("plan") as watch:
    ...             print(watch.gaps)
    >>> asyncio.run(main())
    0
    """

    def __init__(self, start: Callable[[], Coroutine[Any, Any, _T_co]]) -> None: ...
    def __class_getitem__(cls, item: Any, /) -> GenericAlias: ...
    def __await__(self) -> Generator[Any, None, _T_co]: ...
    async def __aenter__(self) -> _T_co: ...
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...

@final
class Watch:
    """What happens in one thread or many, once each and in stream order, until it is closed.

    Iterating gives messages, and waits for each without end. It ends when the watch is closed, and
    raises Closed when its manager is. A reader that is slower than the stream loses nothing and
    holds up nobody: beyond 256 events or 8 MiB it goes on from the stream itself. A step that times
    out or is cancelled loses nothing either.

    What expired before it could be delivered, and the like, is an event of its own in `events()`;
    plain iteration logs it, counts gaps, and goes on.

    >>> async def main():
    ...     async with libchat.aio.open("shop", "ana") as chat, chat.watch("plan") as watch:
    ...         await chat.send("plan", "prices first")
    ...         async for message in watch:
    ...             print(message.sender, "says", message.body)
    ...             break
    >>> asyncio.run(main())
    ana says prices first
    """

    def __aiter__(self) -> Self: ...
    async def __anext__(self) -> Message: ...
    async def next(self, timeout: Duration | None = None) -> Message | None:
        """The next message; None if there is none in time, and only then.

        Args:
            timeout: how long to wait, in seconds; 0: not at all, None: without end.

        Raises:
            Closed: the watch or its manager was closed.

        >>> async def main():
        ...     async with libchat.aio.open("shop", "ana") as chat, chat.watch("plan") as watch:
        ...         await chat.send("plan", "prices first")
        ...         message = await watch.next(timeout=10)
        ...         if message is not None:
        ...             print(message.body)
        ...         print(await watch.next(timeout=0))
        >>> asyncio.run(main())
        prices first
        None
        """

    async def next_event(self, timeout: Duration | None = None) -> Event | None:
        """The next event, messages and all; None if there is none in time, and only then.

        Args:
            timeout: how long to wait, in seconds; 0: not at all, None: without end.

        Raises:
            Closed: the watch or its manager was closed.

        >>> async def main():
        ...     async with libchat.aio.open("shop", "ana") as chat, chat.watch("plan") as watch:
        ...         await chat.send("plan", "prices first")
        ...         for _ in range(2):
        ...             event = await watch.next_event(timeout=10)
        ...             print(type(event).__name__)
        >>> asyncio.run(main())
        CaughtUp
        Message
        """

    def events(self) -> AsyncIterator[Event]:
        """Iterates events, messages and all, as iterating the watch itself gives messages.

        >>> async def main():
        ...     async with libchat.aio.open("shop", "ana") as chat:
        ...         await chat.send("plan", "prices first")
        ...         async with chat.watch("plan", start="all") as watch:
        ...             async for event in watch.events():
        ...                 match event:
        ...                     case libchat.Message():
        ...                         print(event.body)
        ...                     case libchat.Gap(after, until):
        ...                         print("gone:", after, "to", until)
        ...                     case libchat.CaughtUp():
        ...                         break
        >>> asyncio.run(main())
        prices first
        """

    @property
    def gaps(self) -> int:
        """Gap events handed out or passed over so far."""

    @property
    def cursor(self) -> Cursor:
        """The place of what was last handed out, at first of the start.

        Save it when you have dealt with a message, and resume after it.

        >>> async def main():
        ...     async with libchat.aio.open("shop", "ana") as chat:
        ...         async with chat.watch("plan") as watch:
        ...             saved = str(watch.cursor)
        ...         await chat.send("plan", "while you were away")
        ...         async with chat.watch("plan", start=libchat.Cursor(saved)) as watch:
        ...             print((await anext(watch)).body)
        >>> asyncio.run(main())
        while you were away
        """

    def fileno(self) -> int:
        """A descriptor for another event loop, this watch's own, made at the first call.

        It is readable while `next(timeout=0)` may have something to say, the end included. Poll it;
        never read or close it. It goes when nothing uses the watch any more. What is here needs
        none of it: all watches of a manager share one descriptor.

        Raises:
            System: the process has no descriptor left.

        >>> import select
        >>> async def main():
        ...     async with libchat.aio.open("shop", "ana") as chat, chat.watch("plan") as watch:
        ...         await chat.send("plan", "prices first")
        ...         print(select.select([watch], [], [], 10)[0] == [watch])
        >>> asyncio.run(main())
        True
        """

    async def close(self) -> None:
        """Ends the watch: whoever waits in it is told. Again: nothing.

        >>> async def main():
        ...     async with libchat.aio.open("shop", "ana") as chat:
        ...         watch = await chat.watch("plan")
        ...         await watch.close()
        ...         print([message async for message in watch])
        >>> asyncio.run(main())
        []
        """

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...

@final
class Responder:
    """Answers what is asked on a subject, until it or its manager is closed.

    >>> async def price(request: libchat.Request) -> str:
    ...     return "7 " + request.payload.decode()
    >>> async def main():
    ...     async with libchat.aio.open("shop", "ana") as chat:
    ...         async with chat.respond("shop.price", price):
    ...             print(await chat.request("shop.price", "EUR"))
    >>> asyncio.run(main())
    b'7 EUR'
    """

    async def wait(self, timeout: Duration | None = None) -> None:
        """Waits for the end, to keep a program alive. Handlers run on without it.

        Args:
            timeout: how long to wait, in seconds. None: without end.

        Raises:
            Closed: the manager was closed.
            Unauthorized: the right to listen was taken away.

        >>> async def main():
        ...     async with libchat.aio.open("shop", "ana") as chat:
        ...         async with chat.answer(lambda request: "on it") as responder:
        ...             await responder.wait(timeout=0.1)
        >>> asyncio.run(main())
        """

    async def close(self) -> None:
        """Takes no further requests; those being handled are still answered. Again: nothing.

        >>> async def main():
        ...     async with libchat.aio.open("shop", "ana") as chat:
        ...         responder = await chat.answer(lambda request: "on it")
        ...         print(await chat.ask("ana", "are you there?"))
        ...         await responder.close()
        >>> asyncio.run(main())
        b'on it'
        """

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
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
) -> Opening[Manager]:
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

    >>> async def main():
    ...     async with libchat.aio.open("shop", "ana") as chat:
    ...         print(chat.project, chat.agent)
    >>> asyncio.run(main())
    shop ana
    """

@final
class Manager:
    """One agent in one project: all verbs. `libchat.aio.open` makes it; it reconnects by itself.

    Leave it by `async with`, or close it. A program may also end without: what was not confirmed
    may be lost, no more.

    >>> async def main():
    ...     async with (
    ...         libchat.aio.open("shop", "ana") as ana,
    ...         libchat.aio.open("shop", "ben") as ben,
    ...     ):
    ...         async with ben.watch("plan") as watch:
    ...             await ana.send("plan", "Shall we ship on Friday?")
    ...             message = await anext(watch)
    ...         await ben.send("plan", "Yes.", reply_to=message)
    ...         for message in await ana.history("plan"):
    ...             print(f"{message.sender}: {message.body}")
    >>> asyncio.run(main())
    ana: Shall we ship on Friday?
    ben: Yes.
    """

    @property
    def project(self) -> str:
        """The project's name."""

    @property
    def agent(self) -> str:
        """This agent's name: the sender of what it sends."""

    async def send(
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

        Messages of one manager to one thread are stored in the order in which the calls begin,
        across faults too. After any failure but OutcomeUnknown and Bug the message is not stored.
        After a cancellation it may be: give an `id`, and send again with it.

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

        >>> async def main():
        ...     async with libchat.aio.open("shop", "ana") as chat:
        ...         receipt = await chat.send("plan", "prices first", id="job-7")
        ...         print("stored", receipt.id)
        ...         try:
        ...             await chat.send("plan", "then stock", expect_last="empty")
        ...         except libchat.Conflict:
        ...             print("somebody was here before")
        >>> asyncio.run(main())
        stored job-7
        somebody was here before
        """

    def watch(
        self, thread: Thread, *, start: Start = "new", skip_own: bool = False
    ) -> Opening[Watch]:
        """Watches one thread.

        It is set up when the `await` or `async with` is done, within 10 s: with "new" every message
        stored after that is delivered, and none stored before.

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

        >>> async def main():
        ...     async with libchat.aio.open("shop", "ana") as chat:
        ...         await chat.send("plan", "prices first")
        ...         async with chat.watch("plan", start="all") as watch:
        ...             print((await anext(watch)).body)
        >>> asyncio.run(main())
        prices first
        """

    def watch_all(self, *, start: Start = "new", skip_own: bool = False) -> Opening[Watch]:
        """Watches every thread of the project. As `watch` otherwise.

        Args:
            start: as in `watch`.
            skip_own: as in `watch`.

        >>> async def main():
        ...     async with libchat.aio.open("shop", "ana") as chat, chat.watch_all() as watch:
        ...         await chat.send("plan", "prices first")
        ...         await chat.send("stock", "12 left")
        ...         for _ in range(2):
        ...             message = await anext(watch)
        ...             print(f"[{message.thread}] {message.body}")
        >>> asyncio.run(main())
        [plan] prices first
        [stock] 12 left
        """

    def watch_pattern(
        self, pattern: str, *, start: Start = "new", skip_own: bool = False
    ) -> Opening[Watch]:
        """Watches the threads whose short matches a NATS subject pattern. As `watch` otherwise.

        Args:
            pattern: "*", ">" or the 8 hex digits of a thread.
            start: as in `watch`.
            skip_own: as in `watch`.

        >>> async def main():
        ...     async with libchat.aio.open("shop", "ana") as chat:
        ...         async with chat.watch_pattern("*") as watch:
        ...             await chat.send("plan", "prices first")
        ...             print((await anext(watch)).short)
        >>> asyncio.run(main())
        46e7b33c
        """

    async def history(
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

        >>> async def main():
        ...     async with libchat.aio.open("shop", "ana") as chat:
        ...         for body in ("prices first", "then stock", "then ship"):
        ...             await chat.send("plan", body)
        ...         page = await chat.history("plan", limit=2)
        ...         print([message.body for message in page], page.truncated)
        ...         page = await chat.history("plan", start=page.next)
        ...         print([message.body for message in page], page.truncated)
        >>> asyncio.run(main())
        ['prices first', 'then stock'] True
        ['then ship'] False
        """

    async def list_threads(self, *, timeout: Duration = 10.0) -> list[ThreadSummary]:
        """Every thread of the project, the most recently used first: complete, or an error.

        Its cost grows with the threads, not with the messages.

        Args:
            timeout: deadline of the whole call, in seconds.

        Raises:
            Timeout: it could not be read in time.

        >>> async def main():
        ...     async with libchat.aio.open("shop", "ana") as chat:
        ...         for name in ("plan", "stock", "plan"):
        ...             await chat.send(name, "hello")
        ...         for thread in await chat.list_threads():
        ...             print(thread.name, thread.message_count)
        >>> asyncio.run(main())
        plan 2
        stock 1
        """

    async def threads_for_agent(
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

        >>> async def main():
        ...     async with (
        ...         libchat.aio.open("shop", "ana") as ana,
        ...         libchat.aio.open("shop", "ben") as ben,
        ...     ):
        ...         await ana.send("plan", "prices first")
        ...         await ben.send("stock", "12 left")
        ...         print([thread.name for thread in await ana.threads_for_agent("ben")])
        >>> asyncio.run(main())
        ['stock']
        """

    async def request(
        self, subject: str, payload: Payload = b"", *, timeout: Duration = 30.0
    ) -> bytes:
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

        >>> async def main():
        ...     async with libchat.aio.open("shop", "ana") as chat:
        ...         try:
        ...             await chat.request("shop.price", "EUR")
        ...         except libchat.NoResponders:
        ...             print("nobody sells anything")
        >>> asyncio.run(main())
        nobody sells anything
        """

    def respond(
        self,
        subject: str,
        handler: _Handler,
        *,
        concurrency: int = 1,
        queue_group: str | None = None,
    ) -> Opening[Responder]:
        """Answers what is asked on `subject`, until the responder is closed.

        The server knows of it when the `await` or `async with` is done, within 10 s. Handlers run
        as tasks of this event loop. 256 requests (8 MiB) wait for them at most; who asks further
        ones gets Remote "busy".

        Args:
            subject: a NATS subject, of up to 1,024 bytes; wildcards may stand in it.
            handler: a coroutine function or a plain one, which holds up the event loop while it
                runs. Gets the request, gives the answer: any bytes; a str goes as UTF-8. When it
                raises Remote, the one who asks gets that; any other exception is logged, and told
                as Remote "handler_failed" without its text.
            concurrency: how many handlers may run at once, 1 to 1,024.
            queue_group: share the requests with the other responders of this group. None: every
                responder gets each.

        >>> async def price(request: libchat.Request) -> str:
        ...     return "7 " + request.payload.decode()
        >>> async def main():
        ...     async with (
        ...         libchat.aio.open("shop", "ana") as ana,
        ...         libchat.aio.open("shop", "ben") as ben,
        ...         ben.respond("shop.price", price),
        ...     ):
        ...         print(await ana.request("shop.price", "EUR"))
        >>> asyncio.run(main())
        b'7 EUR'
        """

    async def ask(self, agent: str, payload: Payload, *, timeout: Duration = 30.0) -> bytes:
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

        >>> async def main():
        ...     async with (
        ...         libchat.aio.open("shop", "ana") as ana,
        ...         libchat.aio.open("shop", "ben") as ben,
        ...         ben.answer(lambda request: "on it"),
        ...     ):
        ...         print(await ana.ask("ben", "are you there?"))
        >>> asyncio.run(main())
        b'on it'
        """

    def answer(self, handler: _Handler, *, concurrency: int = 1) -> Opening[Responder]:
        """Answers what is asked of this agent: `respond` on its own subject.

        Args:
            handler: as in `respond`.
            concurrency: how many handlers may run at once, 1 to 1,024.

        >>> async def answer(request: libchat.Request) -> str:
        ...     raise libchat.Remote("no_such_city", "I know Paris and Rome only")
        >>> async def main():
        ...     async with (
        ...         libchat.aio.open("shop", "ana") as ana,
        ...         libchat.aio.open("shop", "ben") as ben,
        ...         ben.answer(answer),
        ...     ):
        ...         try:
        ...             await ana.ask("ben", "how far is Oslo?")
        ...         except libchat.Remote as error:
        ...             print(error.remote_code)
        >>> asyncio.run(main())
        no_such_city
        """

    def stats(self) -> Mapping[str, int]:
        """What this manager has counted since it was opened.

        `sent`, of these `duplicates` (stored before); `resent` (under the same id, for want of an
        answer); `delivered` to watches; events: `malformed`, `gaps`, `resets`; `detaches` (a watch
        was too slow for the live tail), `reopens` of the live tail, `reconnects`; and of now
        `watches`, `buffered_bytes`, `connected` (1: it is) and `polling` (1: the server has no
        consumer to spare).

        >>> async def main():
        ...     async with libchat.aio.open("shop", "ana") as chat:
        ...         await chat.send("plan", "prices first")
        ...         print(chat.stats()["sent"], chat.stats()["connected"])
        >>> asyncio.run(main())
        1 1
        """

    async def close(self) -> None:
        """Ends everything this manager started, within 2 s. Again: nothing.

        Watches and responders end, sends under way raise OutcomeUnknown, every later call raises
        Closed.

        >>> async def main():
        ...     chat = await libchat.aio.open("shop", "ana")
        ...     await chat.close()
        ...     try:
        ...         await chat.send("plan", "prices first")
        ...     except libchat.Closed:
        ...         print("too late")
        >>> asyncio.run(main())
        too late
        """

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...
