"""Durable chat for agents on NATS JetStream.

Threads that outlive the processes that write in them: what is sent is stored, and who was away
reads on from a cursor. This module blocks; `libchat.aio` is the same for asyncio.

>>> with libchat.open("shop", "ana") as chat:
...     receipt = chat.send("plan", "prices first")
...     [message.body for message in chat.history("plan")]
['prices first']
"""

from _collections_abc import Sequence as _Sequence

from libchat._libchat import (
    CaughtUp,
    Cursor,
    Gap,
    History,
    Last,
    Malformed,
    Manager,
    Message,
    Receipt,
    Request,
    Reset,
    Resumed,
    Stalled,
    ThreadSummary,
    Watch,
    __version__,
    open,
)
from libchat.errors import (
    Bug,
    Closed,
    Conflict,
    Disconnected,
    Error,
    Forked,
    InvalidArgument,
    InvalidState,
    NoResponders,
    NotFound,
    OutcomeUnknown,
    Remote,
    Server,
    System,
    Timeout,
    TooLarge,
    TooManySubscribers,
    Unauthorized,
)

_Sequence.register(History)


def __getattr__(name):
    # Loaded when they are used: they bring modules along that not everyone needs.
    if name == "aio":
        import libchat.aio as aio

        return aio
    if name == "Responder":
        from libchat._responder import Responder

        return Responder
    if name in ("LocalServer", "local_server"):
        import libchat._server

        return getattr(libchat._server, name)
    raise AttributeError(f"module 'libchat' has no attribute {name!r}")
