from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self, final

from ._types import Duration

@final
class Responder:
    """Answers what is asked on a subject, until it or its manager is closed.

    >>> def price(request: libchat.Request) -> str:
    ...     return "7 " + request.payload.decode()
    >>> with libchat.open("shop", "ana") as chat:
    ...     with chat.respond("shop.price", price):
    ...         print(chat.request("shop.price", "EUR"))
    b'7 EUR'
    """

    def wait(self, timeout: Duration | None = None) -> None:
        """Waits for the end, to keep a program alive. Handlers run on without it.

        Args:
            timeout: how long to wait, in seconds. None: without end.

        Raises:
            Closed: the manager was closed.
            Unauthorized: the right to listen was taken away.

        >>> with libchat.open("shop", "ana") as chat:
        ...     with chat.answer(lambda request: "on it") as responder:
        ...         responder.wait(timeout=0.1)
        """

    def close(self) -> None:
        """Takes no further requests; those being handled are still answered. Again: nothing.

        >>> with libchat.open("shop", "ana") as chat:
        ...     responder = chat.answer(lambda request: "on it")
        ...     responder.close()
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

def check(handler: object, concurrency: int) -> None: ...
def failure(error: BaseException) -> tuple[str, str]: ...
def tracing(headers: Mapping[str, str]) -> AbstractContextManager[None]: ...
