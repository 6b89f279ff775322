"""The bridge to OpenTelemetry, imported only in a process that has imported that."""

import contextlib

from opentelemetry import context, propagate


def current():
    """The header fields that carry the current context."""
    carrier = {}
    propagate.inject(carrier)
    return carrier


@contextlib.contextmanager
def within(headers):
    """Runs a block in the context that header fields carry."""
    token = context.attach(propagate.extract(headers))
    try:
        yield
    finally:
        context.detach(token)
