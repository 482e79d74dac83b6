"""Which messages belong together: a call of tools and its results. A view shows both or neither; models refuse halves.

Stands on models' messages; must not know contexts.
"""

from collections.abc import Sequence

from autogen_core.models._types import AssistantMessage, FunctionExecutionResultMessage, LLMMessage


def group_of_each(messages: Sequence[LLMMessage], *, open_end: bool) -> list[int | None]:
    """Tell for each message of a piece of a conversation which group it belongs to; `None` if it must be left out.

    A group is a call of tools with the messages that hold its results, or any other message alone. Left out are results
    whose call is not in the piece, and what belongs to them.

    Args:
        messages: The piece, oldest first.
        open_end: Whether the conversation ends where the piece ends. If so, calls without results stay: the results are
            still to come. If not, their results lie outside of the piece, and the calls are left out.
    """
    groups = list(range(len(messages)))  # for each message the index of the first one of its group
    waiting: dict[str, int] = {}  # call id -> index of the message with the call
    halves: set[int] = set()
    for index, message in enumerate(messages):
        if type(message.content) is str:  # nearly all of them: the quick test first
            continue
        if isinstance(message, AssistantMessage) and not isinstance(message.content, str):
            waiting |= {call.id: index for call in message.content}
        elif isinstance(message, FunctionExecutionResultMessage) and message.content:
            calls = [waiting.pop(result.call_id, None) for result in message.content]
            answered = sorted({groups[call] for call in calls if call is not None})
            groups[index] = answered[0] if answered else index
            if len(answered) > 1:
                groups = [answered[0] if group in answered else group for group in groups]
            if None in calls:
                halves.add(index)
    if not open_end:
        halves |= set(waiting.values())
    left_out = {groups[index] for index in halves}
    return [None if group in left_out else group for group in groups]


def without_halves(messages: Sequence[LLMMessage], *, open_end: bool) -> list[LLMMessage]:
    """Return a piece of a conversation without calls and results whose other half is not in it; see `group_of_each`."""
    if all(type(message.content) is str for message in messages):
        return list(messages)
    groups = group_of_each(messages, open_end=open_end)
    return [message for message, group in zip(messages, groups, strict=True) if group is not None]
