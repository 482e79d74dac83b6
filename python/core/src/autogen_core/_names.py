"""Names that programs outside the package rely on: loggers and content types. Stands on nothing."""

ROOT_LOGGER_NAME = "autogen_core"
"""The logger above all others of this package."""

EVENT_LOGGER_NAME = "autogen_core.events"
"""The logger whose records carry event objects of `autogen_core.logging` in `record.msg`."""

TRACE_LOGGER_NAME = "autogen_core.trace"
"""The logger for developers: what the runtime does, in words. Its texts are not part of any contract."""

JSON_DATA_CONTENT_TYPE = "application/json"
"""Content type of a message written as JSON (dataclasses and pydantic models)."""

PROTOBUF_DATA_CONTENT_TYPE = "application/x-protobuf"
"""Content type of a message written as a serialised protobuf `Any`."""
