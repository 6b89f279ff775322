"""Durable chat for agents on NATS JetStream.

Threads that outlive the processes that write in them: what is sent is stored, and who was away
reads on from a cursor. This module blocks; `libchat.aio` is the same for asyncio.

>>> with libchat.open("shop", "ana") as chat:
...     receipt = chat.send("plan", "prices first")
...     [message.body for message in chat.history("plan")]
['prices first']
"""

import atexit as _atexit
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
    _leave,
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
_atexit.register(_leave)


# Loaded when they are used: they bring modules along that not everyone needs.
_LATER = {
    "LocalServer": "_server",
    "Responder": "_responder",
    "aio": "aio",
    "local_server": "_server",
} | dict.fromkeys(("Body", "Duration", "Event", "Past", "Payload", "Start", "Thread"), "_types")


def __getattr__(name):
    if name not in _LATER:
        raise AttributeError(f"module 'libchat' has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f"libchat.{_LATER[name]}")
    return module if name == "aio" else getattr(module, name)


def __dir__():
    return [*globals(), *_LATER]
