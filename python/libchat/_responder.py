"""Runs handlers of requests: on daemon threads here, as tasks in `libchat.aio`."""

import contextlib
import copy
import logging
import operator
import sys
import threading

from libchat._libchat import _check_code
from libchat.errors import Closed, Error, InvalidArgument, Remote

_LOGGER = logging.getLogger("libchat")

# More handlers at once than this are a mistake.
_CONCURRENCY_MAX = 1024


def check(handler, concurrency):
    """Refuses what cannot be a handler, before anything listens."""
    if not callable(handler):
        raise TypeError(f"handler: expected a callable, got {type(handler).__name__}")
    if not 1 <= operator.index(concurrency) <= _CONCURRENCY_MAX:
        text = f"concurrency {concurrency}: must be between 1 and {_CONCURRENCY_MAX}"
        raise InvalidArgument(text)


def failure(error):
    """Code and text for whoever asked: what a handler raised as Remote, else no details."""
    if isinstance(error, Remote):
        try:
            _check_code(error.remote_code)
        except InvalidArgument as wrong:
            _LOGGER.error("a handler's Remote has no usable code: %s", wrong)
        else:
            return error.remote_code, str(error)
    else:
        _LOGGER.error("a handler failed", exc_info=error)
    return "handler_failed", "the handler failed; its own log says why"


def tracing(headers):
    """The context manager in which a request with these headers is to be handled."""
    if "opentelemetry.context" not in sys.modules:
        return contextlib.nullcontext()
    from libchat._trace import within

    return within(headers)


class Responder:
    """Answers what is asked on a subject, until it or its manager is closed."""

    __slots__ = ("_closed", "_error", "_handler", "_requests")

    def __init__(self):
        raise TypeError("a Responder is made by a Manager's respond or answer")

    @classmethod
    def _of(cls, requests, handler, concurrency):
        self = object.__new__(cls)
        self._requests = requests
        self._handler = handler
        self._closed = False
        self._error = Closed("the manager is closed")
        for number in range(concurrency):
            name = f"libchat-handler-{number}"
            threading.Thread(target=self._serve, name=name, daemon=True).start()
        return self

    def wait(self, timeout=None):
        """Waits for the end, to keep a program alive. Handlers run on without it."""
        if self._requests.stopped(timeout) and not self._closed:
            raise copy.copy(self._error)

    def close(self):
        """Takes no further requests; those being handled are still answered. Again: nothing."""
        self._closed = True
        self._requests.stop()

    def __enter__(self):
        return self

    def __exit__(self, t, v, tb, /):
        self.close()

    def _serve(self):
        while True:
            try:
                request, answer = self._requests.next()
            except Error as error:
                # Without its traceback, which holds this frame, and so this.
                self._error = error.with_traceback(None)
                self._requests.stop()
                return
            self._answer(request, answer)

    def _answer(self, request, answer):
        try:
            with tracing(request.headers):
                payload = self._handler(request)
        except BaseException as error:
            # sys.exit() too: it would end this thread, and nobody would answer any more.
            self._tell(answer.fail, *failure(error))
            return
        try:
            self._tell(answer.reply, payload)
        except (TypeError, InvalidArgument) as error:
            self._tell(answer.fail, *failure(error))

    def _tell(self, tell, *what):
        try:
            tell(*what)
        except InvalidArgument:
            raise
        except Error as lost:
            # Whoever asked waits out its own time.
            _LOGGER.warning("an answer could not be sent: %s", lost)
