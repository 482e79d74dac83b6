"""A model client that answers from a script: for tests, examples and programs that run offline."""

from ._client import ReplayChatCompletionClient

__all__ = ["ReplayChatCompletionClient"]
