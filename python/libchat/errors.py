"""What libchat raises: one class for each thing a caller would do differently.

Each class is also the builtin that fits, so that code which knows nothing of libchat catches it:

    try:
        chat.send("plan", "prices first", id="job-7")
    except TimeoutError as error:       # libchat.Timeout, libchat.OutcomeUnknown
        ...
"""

from __future__ import annotations


class Error(Exception):
    """Catch this for everything that libchat raises; only a wrong type is a TypeError.

    `str(error)` is one line for people: what was tried, on what, and why it failed. It never holds
    a message body or a secret.
    """

    code: str = "error"
    """The class as a word, the same in C, Go, Rust and the program: "outcome_unknown"."""

    hint: str | None = None
    """What to do about it, where there is something to say. Tracebacks show it as a note."""

    retryable: bool = False
    """Whether the same call may succeed later, and repeating it can do no harm.

    Always False for Remote, Conflict and Closed, and for OutcomeUnknown unless the caller gave the
    id, since a repeated call would otherwise draw a fresh one. Retry wrappers take it as
    `lambda error: getattr(error, "retryable", False)`.
    """

    id: str | None = None
    """The id of the message that a failed send was about; None before its arguments were checked,
    and for every other call."""

    server_code: int | None = None
    """The `err_code` of the server's answer, as the NATS documentation lists them."""


class InvalidArgument(Error, ValueError):
    """Fix the call: an argument or a setting breaks its rule."""

    code: str = "invalid_argument"


class InvalidState(Error, RuntimeError):
    """Fix the order of calls: this one does not fit what was done before."""

    code: str = "invalid_state"


class Closed(Error):
    """Open a new one: the manager, watch or responder was closed."""

    code: str = "closed"


class Disconnected(Error, ConnectionError):
    """Try again, or check the address: the server cannot be reached.

    An open manager keeps reconnecting by itself. Of a send, nothing was stored.
    """

    code: str = "disconnected"


class Unauthorized(Error, PermissionError):
    """Ask the operator for the right that the text names."""

    code: str = "unauthorized"


class Timeout(Error, TimeoutError):
    """Try again: the deadline passed.

    Of a send, nothing was stored. Of a request, no answer came: whether it was handled is not
    known.
    """

    code: str = "timeout"


class OutcomeUnknown(Error, TimeoutError):
    """Send again with the same id (`error.id`): the message may or may not be stored.

    The server drops the copy if it is. This is no Timeout, after which nothing is stored.
    """

    code: str = "outcome_unknown"

    # Always set where libchat raises it, so that callers need not ask whether there is one.
    id: str = ""  # pyright: ignore[reportIncompatibleVariableOverride]
    """The id to send again with."""


class NoResponders(Error, ConnectionError):
    """Try later: nobody listens there now. Of a send, no stream took it in time."""

    code: str = "no_responders"


class Remote(Error):
    """Read `remote_code`: the handler that answered failed, and said so.

    Raise it in a handler of your own to tell the one who asks why:
    `raise libchat.Remote("no_such_city", "I know Paris and Rome only")`. The code is a word of at
    most 64 letters, digits, `_`, `-` or `.`. Codes of libchat's own are "handler_failed" for any
    other exception in the handler, "busy", "unanswered" and "too_large".
    """

    code: str = "remote"

    remote_code: str
    """The code that the handler gave."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.remote_code = code

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.remote_code, *self.args), self.__dict__


class NotFound(Error, LookupError):
    """Check the name: there is no such stream, context or program."""

    code: str = "not_found"


class Conflict(Error):
    """Look at what is there: it differs from what the call expected."""

    code: str = "conflict"


class TooLarge(Error, ValueError):
    """Send less: the server's limit is smaller than this message, 1 MiB unless it was set."""

    code: str = "too_large"


class TooManySubscribers(Error):
    """Close watches, or open with a higher `max_subscribers`: the manager has as many as it may."""

    code: str = "too_many_subscribers"


class Server(Error):
    """Read the text: any other answer of the server (`server_code`)."""

    code: str = "server"


class System(Error, OSError):
    """Look at the machine: it refused a file, a process or a socket."""

    code: str = "system"


class Forked(Error, RuntimeError):
    """Start processes by spawn, or open nothing before a fork: the child of one cannot use libchat.

    `multiprocessing.get_context("spawn")` does so. The parent is unharmed.
    """

    code: str = "forked"


class Bug(Error, RuntimeError):
    """Report it: a panic inside libchat. A send that raises it may be stored."""

    code: str = "bug"


# The name that users know them by, in tracebacks and pickles.
for _class in (
    Error,
    InvalidArgument,
    InvalidState,
    Closed,
    Disconnected,
    Unauthorized,
    Timeout,
    OutcomeUnknown,
    NoResponders,
    Remote,
    NotFound,
    Conflict,
    TooLarge,
    TooManySubscribers,
    Server,
    System,
    Forked,
    Bug,
):
    _class.__module__ = "libchat"
