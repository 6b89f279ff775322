"""The bridge to OpenTelemetry, imported only in a process that has imported that."""

from opentelemetry import context, propagate


def current():
    """The header fields that carry the current context."""
    carrier = {}
    propagate.inject(carrier)
    return carrier


class within:
    """Runs a block in the context that header fields carry."""

    def __init__(self, headers):
        self._context = propagate.extract(headers)

    def __enter__(self):
        self._token = context.attach(self._context)

    def __exit__(self, *_):
        context.detach(self._token)
