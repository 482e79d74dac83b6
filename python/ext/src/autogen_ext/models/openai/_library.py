"""The SDK's HTTP library: httpx or httpx2, depending on the SDK's version; their names are the same. Needs the SDK."""

import sys
from typing import Any

import openai


def _find() -> Any:
    bases = openai.DefaultAsyncHttpxClient.__mro__
    name = next(cls.__module__.partition(".")[0] for cls in bases if cls.__module__.startswith("httpx"))
    return sys.modules[name]


http: Any = _find()
"""The module."""
