"""A server for all tests, a project of its own for each."""

import itertools
import os

import libchat
import pytest

_numbers = itertools.count()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A NATS server of the test run's own."""
    with libchat.local_server(tmp_path_factory.mktemp("server")) as server:
        os.environ["LIBCHAT_URL"] = server.url
        yield server


@pytest.fixture
def project(server):
    """The name of a project that nothing was said in."""
    return f"p{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def chat(project):
    """Ana, in that project."""
    with libchat.open(project, "ana") as chat:
        yield chat


def is_long():
    """Whether this is `make test-long`."""
    return bool(os.environ.get("LIBCHAT_TEST_LONG"))


_figures = []


def figure(text):
    """Has a figure that a test measured printed at the end of the run."""
    _figures.append(text)


def pytest_terminal_summary(terminalreporter):
    for text in _figures:
        terminalreporter.write_line(f"figure: {text}")
