"""Names for annotations, as `def show(event: libchat.Event) -> None`. Loaded when one is asked for:
typing takes its time."""

import datetime as dt
from os import PathLike
from typing import Literal, TypeAlias

from ._libchat import (
    CaughtUp,
    Cursor,
    Gap,
    Last,
    Malformed,
    Message,
    Reset,
    Resumed,
    Stalled,
    ThreadSummary,
)

Body: TypeAlias = str | bytes
"""A message's text; bytes must be UTF-8."""

Payload: TypeAlias = str | bytes
"""A request or an answer: any bytes; a str goes as UTF-8."""

Duration: TypeAlias = float | dt.timedelta
"""Seconds, or a timedelta; not negative."""

Past: TypeAlias = Literal["all"] | Cursor | dt.datetime | Last
"""Where a history begins: with the oldest message, after a cursor, with the first message stored at
or after a time, or with the last n."""

Start: TypeAlias = Literal["new"] | Past
"""Where a watch begins: as Past, or with what is stored after the call."""

Thread: TypeAlias = str | Message | ThreadSummary
"""A thread by its name, or the one that a message or a listing is of, whether its name is known or
not."""

Event: TypeAlias = Message | CaughtUp | Gap | Reset | Malformed | Stalled | Resumed
"""What a watch tells."""

Path: TypeAlias = str | PathLike[str]
"""A file."""
