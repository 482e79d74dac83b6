"""A model client that answers repeated calls from a store. Its code is with the other middleware."""

from autogen_ext.models.middleware._cache import CHAT_CACHE_VALUE_TYPE, ChatCompletionCache

__all__ = ["CHAT_CACHE_VALUE_TYPE", "ChatCompletionCache"]
