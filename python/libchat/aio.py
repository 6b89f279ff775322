"""libchat for asyncio: the names, verbs and order of `libchat`, to be awaited."""

import asyncio
import contextlib
import copy
import inspect
import logging
import types
import weakref

from libchat import _libchat
from libchat._libchat import _check_process, _seconds
from libchat._responder import check, failure, tracing
from libchat.errors import Closed, Error, InvalidArgument, InvalidState

_LOGGER = logging.getLogger("libchat")

# So many messages at most are handed out in a row before other tasks have their turn.
_IN_A_ROW = 256


class Opening:
    """What is about to be open: await it, or enter it by `async with`, which closes it in the
    end."""

    __slots__ = ("_opened", "_start")

    __class_getitem__ = classmethod(types.GenericAlias)

    def __init__(self, start):
        self._start = start
        self._opened = None

    def __await__(self):
        return self._start().__await__()

    async def __aenter__(self):
        self._opened = await self
        return self._opened

    async def __aexit__(self, t, v, tb, /):
        await self._opened.close()


class _Waits:
    """What one manager's tasks wait for, woken by one descriptor in their event loop."""

    __slots__ = ("__weakref__", "_futures", "_held", "_loop", "bell")

    def __init__(self):
        self.bell = _libchat.Bell()
        self._futures = {}
        self._loop = asyncio.get_running_loop()
        # The loop holds this, and so who waits, only while somebody waits: what nobody uses any
        # more is collected.
        self._held = [None]
        self._loop.add_reader(self.bell.fileno(), _ring, weakref.ref(self), self._held)
        weakref.finalize(self, _forget, self._loop, self.bell).atexit = False

    def check(self):
        """Refuses another event loop, before anything is begun in it."""
        if asyncio.get_running_loop() is not self._loop:
            _check_process()
            raise _another_loop()

    async def run(self, call):
        """The result of a call that was begun. Cancelling the wait ends the call."""
        return await self.wait(call.token)

    async def wait(self, token):
        """Waits until the bell rings for `token`."""
        future = self._loop.create_future()
        futures = self._futures.setdefault(token, set())
        futures.add(future)
        self._held[0] = self
        try:
            return await future
        finally:
            futures.discard(future)
            if not futures and self._futures.get(token) is futures:
                del self._futures[token]
            if not self._futures:
                self._held[0] = None
            # Else a failure and this frame would hold each other, and all that the caller has.
            del future, futures

    def take(self):
        for token, result, error in self.bell.take():
            for future in self._futures.pop(token, ()):
                if future.done():
                    continue
                if error is None:
                    future.set_result(result)
                else:
                    future.set_exception(error)


def _another_loop():
    error = InvalidState("this manager was opened in another event loop")
    error.hint = "open one in each event loop"
    error.add_note(f"hint: {error.hint}")
    return error


def _ring(waits, _held):
    waits = waits()
    if waits is not None:
        waits.take()


def _forget(loop, bell):
    """Takes the descriptor from the loop, in whatever thread the last user was collected."""
    bell.close()
    with contextlib.suppress(RuntimeError):  # the loop has ended, and its readers with it
        loop.call_soon_threadsafe(_remove_reader, loop, bell)


def _remove_reader(loop, bell):
    loop.remove_reader(bell.fileno())


def open(
    project=None,
    agent=None,
    *,
    servers=None,
    context=None,
    creds=None,
    nkey=None,
    user=None,
    password=None,
    token=None,
    tls_ca=None,
    tls_cert=None,
    tls_key=None,
    tls_first=False,
    js_domain=None,
    inbox_prefix=None,
    create=True,
    max_retention_age=None,
    max_subscribers=1024,
    timeout=5.0,
):
    """Connects, and opens `project` as `agent`, making the project's stream if there is none."""
    options = locals()
    return Opening(lambda: _open(options))


async def _open(options):
    waits = _Waits()
    core = await waits.run(_libchat.open(**options, _bell=waits.bell))
    return Manager._of(core, waits)


class Manager:
    """One agent in one project: all verbs. `libchat.aio.open` makes it; it reconnects by itself."""

    __slots__ = ("__weakref__", "_core", "_waits")

    def __init__(self):
        raise TypeError("a Manager is made by libchat.aio.open()")

    @classmethod
    def _of(cls, core, waits):
        self = object.__new__(cls)
        self._core = core
        self._waits = waits
        return self

    def _here(self):
        self._waits.check()
        return self._core

    @property
    def project(self):
        """The project's name."""
        return self._core.project

    @property
    def agent(self):
        """This agent's name: the sender of what it sends."""
        return self._core.agent

    async def send(
        self,
        thread,
        body,
        *,
        id=None,
        reply_to=None,
        headers=None,
        unordered=False,
        expect_last=None,
        timeout=10.0,
    ):
        """Stores one message in `thread` and waits for the server's word on it."""
        call = self._here().send(
            thread,
            body,
            id=id,
            reply_to=reply_to,
            headers=headers,
            unordered=unordered,
            expect_last=expect_last,
            timeout=timeout,
        )
        return await self._waits.run(call)

    def watch(self, thread, *, start="new", skip_own=False):
        """Watches one thread."""
        return self._watch(lambda: self._here().watch(thread, start=start, skip_own=skip_own))

    def watch_all(self, *, start="new", skip_own=False):
        """Watches every thread of the project. As `watch` otherwise."""
        return self._watch(lambda: self._here().watch_all(start=start, skip_own=skip_own))

    def watch_pattern(self, pattern, *, start="new", skip_own=False):
        """Watches the threads whose short matches a NATS subject pattern. As `watch` otherwise."""
        return self._watch(
            lambda: self._here().watch_pattern(pattern, start=start, skip_own=skip_own)
        )

    def _watch(self, begin):
        async def start():
            return Watch._of(await self._waits.run(begin()), self._waits)

        return Opening(start)

    async def history(self, thread, *, start="all", limit=1000, max_bytes=None):
        """Past messages of a thread, oldest first, up to the stream's end as it was at the call."""
        call = self._here().history(thread, start=start, limit=limit, max_bytes=max_bytes)
        return await self._waits.run(call)

    async def list_threads(self, *, timeout=10.0):
        """Every thread of the project, the most recently used first: complete, or an error."""
        return await self._waits.run(self._here().list_threads(timeout=timeout))

    async def threads_for_agent(self, agent, max_threads=20, *, timeout=30.0):
        """The threads that `agent` has written in, the most recently used first: complete, or an
        error."""
        call = self._here().threads_for_agent(agent, max_threads, timeout=timeout)
        return await self._waits.run(call)

    async def request(self, subject, payload=b"", *, timeout=30.0):
        """Sends `payload` to whoever listens on `subject` and waits for the first answer."""
        return await self._waits.run(self._here().request(subject, payload, timeout=timeout))

    def respond(self, subject, handler, *, concurrency=1, queue_group=None):
        """Answers what is asked on `subject`, until the responder is closed."""
        return self._respond(subject, queue_group, handler, concurrency)

    async def ask(self, agent, payload, *, timeout=30.0):
        """Asks an agent of this project: `request` on its own subject."""
        return await self._waits.run(self._here().ask(agent, payload, timeout=timeout))

    def answer(self, handler, *, concurrency=1):
        """Answers what is asked of this agent: `respond` on its own subject."""
        return self._respond(None, None, handler, concurrency)

    def _respond(self, subject, queue_group, handler, concurrency):
        check(handler, concurrency)

        async def start():
            requests = await self._waits.run(self._here()._requests(subject, queue_group))
            return Responder._of(requests, handler, concurrency, self._waits)

        return Opening(start)

    def stats(self):
        """What this manager has counted since it was opened."""
        return self._core.stats()

    async def close(self):
        """Ends everything this manager started, within 2 s. Again: nothing."""
        await self._waits.run(self._here().close())

    async def __aenter__(self):
        return self

    async def __aexit__(self, t, v, tb, /):
        await self.close()


class Watch:
    """What happens in one thread or many, once each and in stream order, until it is closed."""

    __slots__ = ("__weakref__", "_core", "_in_a_row", "_token", "_waits")

    def __init__(self):
        raise TypeError("a Watch is made by a Manager's watch, watch_all or watch_pattern")

    @classmethod
    def _of(cls, core, waits):
        self = object.__new__(cls)
        self._core = core
        self._in_a_row = 0
        self._token = core._ring(waits.bell)
        self._waits = waits
        return self

    def __aiter__(self):
        return self

    def __anext__(self):
        return self._step(self._core._message_now)

    async def next(self, timeout=None):
        """The next message; None if there is none in time, and only then."""
        return await self._within(timeout, self._core._message_now)

    async def next_event(self, timeout=None):
        """The next event, messages and all; None if there is none in time, and only then."""
        return await self._within(timeout, self._core._event_now)

    def events(self):
        """Iterates events, messages and all, as iterating the watch itself gives messages."""
        return _Events(self)

    @property
    def gaps(self):
        """Gap events handed out or passed over so far."""
        return self._core.gaps

    @property
    def cursor(self):
        """The place of what was last handed out, at first of the start."""
        return self._core.cursor

    def fileno(self):
        """A descriptor for another event loop, this watch's own, made at the first call."""
        return self._core.fileno()

    async def close(self):
        """Ends the watch: whoever waits in it is told. Again: nothing."""
        self._core.close()

    async def __aenter__(self):
        return self

    async def __aexit__(self, t, v, tb, /):
        await self.close()

    async def _step(self, take):
        """A step of an iteration, which ends where this watch was closed."""
        try:
            taken = self._now(take)
            return await self._next(take) if taken is None else taken
        except Closed:
            if self._core._closed:
                raise StopAsyncIteration from None
            raise

    async def _within(self, timeout, take):
        seconds = None if timeout is None else _seconds(timeout)
        if (taken := self._now(take)) is not None:
            return taken
        if seconds is None:
            return await self._next(take)
        await self._breathe()
        try:
            async with asyncio.timeout(seconds) as limit:
                return await self._next(take)
        except TimeoutError:
            if limit.expired():
                return None
            raise

    def _now(self, take):
        """What `take` gives at once, unless other tasks should have their turn."""
        self._waits.check()
        if self._in_a_row >= _IN_A_ROW or (taken := take()) is None:
            return None
        self._in_a_row += 1
        return taken

    async def _next(self, take):
        """What `take` gives, once it gives something. Nothing is taken before the last step that
        can be cancelled."""
        await self._breathe()
        while (taken := take()) is None:
            await self._waits.wait(self._token)
            self._in_a_row = 0
        self._in_a_row += 1
        return taken

    async def _breathe(self):
        """Gives other tasks their turn now and then."""
        if self._in_a_row >= _IN_A_ROW:
            await asyncio.sleep(0)
            self._in_a_row = 0


class _Events:
    """Iterates all events of a watch."""

    __slots__ = ("_watch",)

    def __init__(self, watch):
        self._watch = watch

    def __aiter__(self):
        return self

    def __anext__(self):
        return self._watch._step(self._watch._core._event_now)


class Responder:
    """Answers what is asked on a subject, until it or its manager is closed."""

    __slots__ = ("__weakref__", "_closed", "_error", "_handler", "_requests", "_tasks", "_waits")

    def __init__(self):
        raise TypeError("a Responder is made by a Manager's respond or answer")

    @classmethod
    def _of(cls, requests, handler, concurrency, waits):
        self = object.__new__(cls)
        self._requests = requests
        self._handler = handler
        self._waits = waits
        self._closed = False
        self._error = Closed("the manager is closed")
        self._tasks = [asyncio.create_task(self._serve()) for _ in range(concurrency)]
        return self

    async def wait(self, timeout=None):
        """Waits for the end, to keep a program alive. Handlers run on without it."""
        self._waits.check()
        if await self._waits.run(self._requests.stopped(timeout)) and not self._closed:
            raise copy.copy(self._error)

    async def close(self):
        """Takes no further requests; those being handled are still answered. Again: nothing."""
        self._closed = True
        self._requests.stop()

    async def __aenter__(self):
        return self

    async def __aexit__(self, t, v, tb, /):
        await self.close()

    async def _serve(self):
        while True:
            try:
                request, answer = await self._waits.run(self._requests.next())
            except Error as error:
                # Without its traceback, which holds this frame, and so this.
                self._error = error.with_traceback(None)
                self._requests.stop()
                return
            await self._answer(request, answer)

    async def _answer(self, request, answer):
        try:
            with tracing(request.headers):
                payload = self._handler(request)
                if inspect.isawaitable(payload):
                    payload = await payload
        except asyncio.CancelledError as error:
            # The handler's own, or this task's?
            if asyncio.current_task().cancelling():
                raise
            await self._tell(answer.fail, *failure(error))
            return
        except Exception as error:
            await self._tell(answer.fail, *failure(error))
            return
        try:
            await self._tell(answer.reply, payload)
        except (TypeError, InvalidArgument) as error:
            await self._tell(answer.fail, *failure(error))

    async def _tell(self, tell, *what):
        try:
            await self._waits.run(tell(*what))
        except InvalidArgument:
            raise
        except Error as lost:
            # Whoever asked waits out its own time.
            _LOGGER.warning("an answer could not be sent: %s", lost)
