"""Schemas that let pydantic have libchat's values as fields; imported when it asks for one."""

from libchat._libchat import _build
from pydantic_core import core_schema


def value_schema(cls):
    """A value as itself, or as what `to_dict()` gives; in JSON as that."""
    return _schema(cls, core_schema.dict_schema(), lambda fields: _build(cls, fields), cls.to_dict)


def text_schema(cls):
    """A cursor as itself, or as its text; in JSON as that."""
    return _schema(cls, core_schema.str_schema(), cls, str)


def number_schema(cls):
    """The last n as itself, or as n; in JSON as that."""
    return _schema(cls, core_schema.int_schema(), cls, lambda last: last.n)


def _schema(cls, plain, make, to_plain):
    def build(plain):
        try:
            return make(plain)
        except TypeError as error:
            # What pydantic tells of the input that it was given.
            raise ValueError(str(error)) from error

    from_plain = core_schema.no_info_after_validator_function(build, plain)
    either = core_schema.union_schema([core_schema.is_instance_schema(cls), from_plain])
    return core_schema.json_or_python_schema(
        json_schema=from_plain,
        python_schema=either,
        serialization=core_schema.plain_serializer_function_ser_schema(to_plain, when_used="json"),
    )
