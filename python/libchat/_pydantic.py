"""Schemas that let pydantic have libchat's values as fields; imported when it asks for one."""

from pydantic_core import core_schema

from libchat._libchat import _build


def value_schema(cls):
    """A value as itself, or as what `to_dict()` gives; in JSON as that."""

    def build(fields):
        return fields if isinstance(fields, cls) else _build(cls, fields)

    return _schema(cls, core_schema.dict_schema(), build, cls.to_dict)


def text_schema(cls):
    """A value as itself, or as its text; in JSON as that."""

    def build(text):
        return text if isinstance(text, cls) else cls(text)

    return _schema(cls, core_schema.str_schema(), build, str)


def _schema(cls, plain, build, to_plain):
    from_plain = core_schema.no_info_after_validator_function(build, plain)
    either = core_schema.union_schema([core_schema.is_instance_schema(cls), from_plain])
    return core_schema.json_or_python_schema(
        json_schema=from_plain,
        python_schema=either,
        serialization=core_schema.plain_serializer_function_ser_schema(
            to_plain, when_used="json"
        ),
    )
