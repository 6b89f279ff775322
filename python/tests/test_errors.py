"""Exceptions: one class for each thing a caller would do differently, each a builtin too."""

import builtins
import copy
import pickle
import time
import traceback
from collections.abc import Iterator

import libchat
import libchat.errors
import pytest
from children import nats_server
from libchat._libchat import _classes
from test_aio import faces

# Each class with its code, and what else catches it.
CLASSES = {
    "Error": ("error", Exception),
    "InvalidArgument": ("invalid_argument", ValueError),
    "InvalidState": ("invalid_state", RuntimeError),
    "Closed": ("closed", Exception),
    "Disconnected": ("disconnected", ConnectionError),
    "Unauthorized": ("unauthorized", PermissionError),
    "Timeout": ("timeout", TimeoutError),
    "OutcomeUnknown": ("outcome_unknown", TimeoutError),
    "NoResponders": ("no_responders", ConnectionError),
    "Remote": ("remote", Exception),
    "NotFound": ("not_found", LookupError),
    "Conflict": ("conflict", Exception),
    "TooLarge": ("too_large", ValueError),
    "TooManySubscribers": ("too_many_subscribers", Exception),
    "Server": ("server", Exception),
    "System": ("system", OSError),
    "Forked": ("forked", RuntimeError),
    "Bug": ("bug", RuntimeError),
}
of_each = pytest.mark.parametrize("name", CLASSES)


def make(name: str) -> libchat.Error:
    """An error with everything set, as one that libchat raised has."""
    made = getattr(libchat, name)
    error = made("no_such_city", "a text") if name == "Remote" else made("a text")
    error.hint = "do this"
    error.add_note("hint: do this")
    error.retryable = True
    error.id = "job-7"
    error.server_code = 10071
    return error


@of_each
def test_a_class_has_its_code_and_its_builtin(name: str) -> None:
    code, builtin = CLASSES[name]
    made = getattr(libchat, name)
    assert made.code == code
    assert issubclass(made, libchat.Error)
    assert issubclass(made, builtin)
    assert (made.__module__, made.__qualname__) == ("libchat", name)
    assert made.__doc__


def test_no_other_class_is_public_or_missing() -> None:
    def is_error(it: object) -> bool:
        return isinstance(it, type) and issubclass(it, libchat.Error)

    for module in (libchat, libchat.errors):
        assert {name for name, it in vars(module).items() if is_error(it)} == set(CLASSES) | (
            # The loop that names them leaves its last.
            {"_class"} & set(vars(module))
        )


def test_a_class_is_caught_by_no_builtin_but_its_own() -> None:
    builtin_errors = [
        it
        for it in vars(builtins).values()
        if isinstance(it, type) and issubclass(it, Exception) and it is not Exception
    ]
    for name, (_, builtin) in CLASSES.items():
        caught_by = {it for it in builtin_errors if issubclass(getattr(libchat, name), it)}
        assert caught_by == {it for it in builtin.__mro__ if it in builtin_errors}


def test_an_unknown_outcome_is_no_timeout() -> None:
    assert not issubclass(libchat.OutcomeUnknown, libchat.Timeout)
    assert not issubclass(libchat.Timeout, libchat.OutcomeUnknown)
    assert libchat.OutcomeUnknown.retryable is False


def test_the_core_knows_no_kind_that_has_no_class() -> None:
    codes = dict(_classes())
    assert len(codes) == len(_classes()) >= 16
    by_code = {code: name for name, (code, _) in CLASSES.items()}
    for code, name in codes.items():
        # Python's own ways to give up a call leave nobody to tell.
        assert name == ("Bug" if code == "cancelled" else by_code[code])
    assert set(by_code) - set(codes) == {"error", "forked", "bug"}, "those are Python's alone"


@of_each
def test_an_error_survives_pickling_and_copying(name: str) -> None:
    error = make(name)
    twins = [pickle.loads(pickle.dumps(error, n)) for n in range(pickle.HIGHEST_PROTOCOL + 1)]
    for twin in [*twins, copy.copy(error), copy.deepcopy(error)]:
        assert type(twin) is type(error)
        assert (str(twin), twin.args) == ("a text", ("a text",))
        for attribute in ("code", "hint", "retryable", "id", "server_code", "__notes__"):
            assert getattr(twin, attribute) == getattr(error, attribute), attribute
        if name == "Remote":
            assert twin.remote_code == "no_such_city"


@of_each
def test_an_error_made_by_hand_has_every_attribute(name: str) -> None:
    made = getattr(libchat, name)
    error = made("c", "t") if name == "Remote" else made("t")
    assert (error.hint, error.retryable, error.server_code) == (None, False, None)
    assert error.id == ("" if name == "OutcomeUnknown" else None)
    assert str(error) == "t"


@faces
def test_a_traceback_shows_the_hint(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        ana.send("plan", "1")
        with pytest.raises(libchat.Conflict) as caught:
            ana.send("plan", "2", expect_last="empty")
    shown = "".join(traceback.format_exception(caught.value))
    assert "\nlibchat.Conflict: send to chat." in shown
    assert shown.endswith(f"\nhint: {caught.value.hint}\n")


@faces
def test_code_that_knows_nothing_of_libchat_catches_its_errors(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        for call, builtin in [
            (lambda: ana.send("", "x"), ValueError),
            (lambda: ana.ask("nobody", "x"), ConnectionError),
            (lambda: ana.ask("nobody", "x"), OSError),
            (lambda: face.open(f"{project}-none", "ana", create=False), LookupError),
            (lambda: face.open(project, "ana", servers="nats://127.0.0.1:1"), ConnectionError),
        ]:
            with pytest.raises(builtin) as caught:
                call()
            assert isinstance(caught.value, libchat.Error)


@faces
def test_what_was_raised_goes_to_another_process(face, project: str) -> None:
    with face.open(project, "ana") as ana, pytest.raises(libchat.TooLarge) as caught:
        ana.send("plan", "x" * 2_000_000, id="job-7")
    twin = pickle.loads(pickle.dumps(caught.value))
    assert (type(twin), str(twin), twin.id) == (libchat.TooLarge, str(caught.value), "job-7")


@faces
def test_a_refused_login_is_unauthorized_and_says_no_password(
    face, project: str, server: libchat.LocalServer
) -> None:
    address = server.url.rpartition("@")[2]
    with pytest.raises(libchat.Unauthorized) as caught:
        face.open(project, "ana", servers=f"nats://eve:sesame@{address}")
    assert isinstance(caught.value, PermissionError)
    assert str(caught.value) == f"connect to nats://{address}: nats: authorization violation"
    assert "sesame" not in repr(caught.value) + str(caught.value.hint)


@faces
def test_a_server_that_is_not_there_is_said_with_every_place_looked_at(
    face, project: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("LIBCHAT_URL", "nats://127.0.0.1:1")
    with pytest.raises(libchat.Disconnected) as caught:
        face.open(project, "ana", timeout=2)
    assert "LIBCHAT_URL" in str(caught.value)
    assert "nats://127.0.0.1:1" in str(caught.value)
    assert caught.value.retryable is True
    assert "libchat up" in caught.value.hint


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose users may not do everything."""
    settings = """
        accounts {
          A { jetstream: enabled, users: [
            { user: reader, password: pw, permissions: { publish: { deny: ["chat.*.*"] } } }
            { user: sender, password: pw, permissions: {
                publish: { allow: ["chat.*.*"] }, subscribe: { allow: ["_INBOX.>"] } } }
            { user: admin, password: pw }
          ] }
          B { users: [{ user: outsider, password: pw }] }
        }
    """
    with nats_server(tmp_path_factory.mktemp("guarded"), settings) as url:
        libchat.open("shop", "admin", servers=url, user="admin", password="pw").close()
        yield url


@faces
def test_a_missing_right_is_said_at_once_with_its_subject(face, guarded: str) -> None:
    with face.open("shop", "ana", servers=guarded, user="reader", password="pw") as ana:
        begun = time.monotonic()
        with pytest.raises(libchat.Unauthorized) as caught:
            ana.send("plan", "x", id="job-7")
        assert time.monotonic() - begun < 5
        assert "chat.shop.46e7b33c" in str(caught.value)
        assert (caught.value.id, caught.value.retryable) == ("job-7", False)
        assert len(ana.history("plan")) == 0


@faces
def test_a_receipt_has_no_place_where_the_agent_may_only_send(face, guarded: str) -> None:
    with face.open("shop", "ana", servers=guarded, user="sender", password="pw") as ana:
        receipt = ana.send("plan to ship", "x")
        assert receipt.cursor is None
        assert receipt.to_dict() == {"id": receipt.id, "cursor": None, "duplicate": False}
        for read in (ana.list_threads, lambda: ana.history("plan"), lambda: ana.watch("plan")):
            with pytest.raises(libchat.Unauthorized):
                read()


@faces
def test_jetstream_that_is_off_is_said_with_the_servers_code(face, guarded: str) -> None:
    with pytest.raises(libchat.Server) as caught:
        face.open("shop", "ana", servers=guarded, user="outsider", password="pw")
    assert caught.value.server_code == 10039
    assert caught.value.hint


def chain(error: BaseException) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@faces
def test_an_error_comes_alone(face, project: str) -> None:
    with face.open(project, "ana") as ana, pytest.raises(libchat.NoResponders) as caught:
        ana.ask("nobody", "x")
    assert list(chain(caught.value)) == [caught.value]
