"""What memories add to the requests of one turn. Stands on memories and model contexts; knows no agent and no model.

A memory writes into a model context. It is given a copy, and what it wrote there is put into each request of the turn
and then forgotten: the conversation itself, and so the next turn and the saved state, hold none of it.
"""

from collections.abc import Sequence

from autogen_core.memory import Memory, MemoryContent
from autogen_core.model_context import ChatCompletionContext, UnboundedChatCompletionContext
from autogen_core.models import FunctionExecutionResultMessage, LLMMessage


class Recollection:
    """What the memories said at the beginning of a turn."""

    def __init__(self) -> None:
        self._added: list[LLMMessage] = []
        self._removed: list[LLMMessage] = []

    async def ask(self, memories: Sequence[Memory], context: ChatCompletionContext) -> list[list[MemoryContent]]:
        """Let the memories look at the conversation, one after the other, and note what they write.

        Returns:
            What each memory found.
        """
        before = await context.get_messages()
        view = UnboundedChatCompletionContext(initial_messages=list(before))
        found = [(await memory.update_context(view)).memories.results for memory in memories]
        after = await view.get_messages()
        self._added = _without(after, before)
        self._removed = _without(before, after)
        return found

    def apply(self, messages: list[LLMMessage], said: Sequence[LLMMessage]) -> list[LLMMessage]:
        """Return the messages of a request together with what was recalled.

        Args:
            messages: The conversation as the model context shows it now.
            said: What this turn has added to it since; what was recalled stands before these.
        """
        if not self._added and not self._removed:
            return messages
        kept = _without(messages, self._removed)
        position = len(kept) - len(said)  # where the context returns copies; else the search below finds it
        own = {id(message) for message in said}
        position = next((index for index, message in enumerate(kept) if id(message) in own), max(0, position))
        while 0 < position < len(kept) and isinstance(kept[position], FunctionExecutionResultMessage):
            position -= 1  # never between calls and their results
        return [*kept[:position], *self._added, *kept[position:]]


def _without(messages: Sequence[LLMMessage], others: Sequence[LLMMessage]) -> list[LLMMessage]:
    """Leave out messages that are the same objects as others: an equal text may well have been said twice."""
    left_out = {id(message) for message in others}
    return [message for message in messages if id(message) not in left_out]
