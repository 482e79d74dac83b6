"""Model contexts: the conversation of an agent, and the view of it that a model gets."""

from ._context import ChatCompletionContext, ChatCompletionContextState
from ._heal import HealedHistory, heal_history
from ._windows import (
    BufferedChatCompletionContext,
    HeadAndTailChatCompletionContext,
    TokenLimitedChatCompletionContext,
    UnboundedChatCompletionContext,
)

__all__ = [
    "BufferedChatCompletionContext",
    "ChatCompletionContext",
    "ChatCompletionContextState",
    "HeadAndTailChatCompletionContext",
    "HealedHistory",
    "TokenLimitedChatCompletionContext",
    "UnboundedChatCompletionContext",
    "heal_history",
]
