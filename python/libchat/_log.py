"""Hands libchat's log records to `logging`, in a daemon thread of Python's own."""

import logging
import threading

from libchat._libchat import _next_records

_LOGGER = logging.getLogger("libchat")
# By the numbers of `tracing`; what it calls trace has no level here.
_LEVELS = (
    logging.NOTSET,
    logging.ERROR,
    logging.WARNING,
    logging.INFO,
    logging.DEBUG,
    logging.DEBUG,
)
_lock = threading.Lock()
_thread = None


def start():
    """Starts the thread if there is none, and says whether someone looks for a fault."""
    global _thread
    with _lock:
        if _thread is None:
            _thread = threading.Thread(target=_run, name="libchat-log", daemon=True)
            _thread.start()
    return _LOGGER.isEnabledFor(logging.DEBUG)


def _run():
    while True:
        records, dropped = _next_records()
        for level, text in records:
            _LOGGER.log(_LEVELS[level], "%s", text)
        if dropped:
            _LOGGER.warning("%d log records came too fast and were dropped", dropped)
