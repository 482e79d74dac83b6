"""Tools to try agents and their memory with."""

from .chat_completion_client_recorder import ChatCompletionClientRecorder

__all__ = ["ChatCompletionClientRecorder"]
