"""A call as JSON data: what makes two calls the same, for caches and cassettes. Stands on a call as a record."""

import hashlib
import json
from typing import Any

from ._base import ModelCall


def request_data(call: ModelCall) -> dict[str, Any]:
    """Return what is asked for, as JSON data. Whether it is streamed is no part of it.

    A tool choice of `auto` is left out, and a class for structured output stands as the text of its schema, so that data and
    `fingerprint` are those of AutoGen 0.7.5 and its caches stay of use.
    """
    output = call.json_output
    choice = call.tool_choice
    data: dict[str, Any] = {
        "messages": [message.model_dump(mode="json") for message in call.messages],
        "tools": [tool if isinstance(tool, dict) else tool.schema for tool in call.tools],
        "json_output": json.dumps(output.model_json_schema()) if isinstance(output, type) else output,
        "extra_create_args": dict(call.extra_create_args),
    }
    if choice != "auto":
        data["tool_choice"] = choice if isinstance(choice, str) else {"tool": choice.name}
    return data


def fingerprint(data: dict[str, Any]) -> str:
    """Return a text that is equal for equal requests: SHA-256 in hexadecimal digits.

    What JSON cannot hold, such as an object among the extra arguments, counts as its `repr`.
    """
    return hashlib.sha256(json.dumps(data, sort_keys=True, default=repr).encode()).hexdigest()
