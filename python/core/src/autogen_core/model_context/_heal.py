"""Heals interrupted conversations: providers refuse a call of a tool that no result follows. Stands on models' messages.

A run that was cancelled, or a process that died, leaves calls without results behind; from then on every request would be
refused. Model clients heal what they send, agents what they keep. Must not know contexts, nor any provider.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from autogen_core.models._types import (
    AssistantMessage,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
)

INTERRUPTED = "Error: this call was interrupted before its result was recorded. Whether it took effect is not known."
"""What a model reads in place of a result that was lost."""


@dataclass(frozen=True, slots=True)
class HealedHistory:
    """A conversation in which results follow every call."""

    messages: Sequence[LLMMessage]
    """The very sequence that was given, if it was whole."""
    count: int
    """How many calls got a result in place of one that was lost."""


def heal_history(messages: Sequence[LLMMessage]) -> HealedHistory:
    """Give each call without a result one that says so and is marked as an error, right behind the calls.

    A result that stands further down, behind other messages, is moved up to its call. Ids may be used again in a later
    turn. Results without a call stay as they are. Healing what was healed changes nothing.
    """
    # Most conversations are whole, and this runs before every request: look first, copy only where it is needed.
    if not any(_missing(messages, place) for place in _calling(messages)):
        return HealedHistory(messages, 0)
    return _rewrite(messages)


def is_marked(result: FunctionExecutionResult) -> bool:
    """Tell whether a result stands for one that was lost."""
    return result.is_error is True and result.content == INTERRUPTED


def _calling(messages: Sequence[LLMMessage]) -> list[int]:
    """Return the places of messages that call tools."""
    return [
        place
        for place, message in enumerate(messages)
        if type(message) is AssistantMessage and type(message.content) is list
    ]


def _missing(messages: Sequence[LLMMessage], place: int) -> dict[str, FunctionCall]:
    """Return the calls of a message that the results right behind it do not answer."""
    content = messages[place].content
    missing = {call.id: call for call in content if isinstance(call, FunctionCall)}
    for following in range(place + 1, len(messages)):
        message = messages[following]
        if not missing or type(message) is not FunctionExecutionResultMessage:
            break
        for result in message.content:
            missing.pop(result.call_id, None)
    return missing


def _rewrite(messages: Sequence[LLMMessage]) -> HealedHistory:
    healed: list[LLMMessage] = []
    moved: set[int] = set()
    waiting: list[FunctionExecutionResult] = []
    count = 0
    for place, message in enumerate(messages):
        if waiting and type(message) is not FunctionExecutionResultMessage:
            healed.append(FunctionExecutionResultMessage(content=waiting))
            waiting = []
        if isinstance(message, FunctionExecutionResultMessage):
            kept = [result for result in message.content if id(result) not in moved]
            if len(kept) == len(message.content):
                healed.append(message)
            elif kept:
                healed.append(FunctionExecutionResultMessage(content=kept))
            continue
        healed.append(message)
        if isinstance(message, AssistantMessage) and isinstance(message.content, list):
            for call in _missing(messages, place).values():
                later = _later_result(messages, place, call.id)
                if later is None:
                    count += 1
                    later = FunctionExecutionResult(content=INTERRUPTED, name=call.name, call_id=call.id, is_error=True)
                else:
                    moved.add(id(later))
                waiting.append(later)
    if waiting:
        healed.append(FunctionExecutionResultMessage(content=waiting))
    return HealedHistory(healed, count)


def _later_result(messages: Sequence[LLMMessage], place: int, call_id: str) -> FunctionExecutionResult | None:
    """Return the result of a call that stands behind other messages, unless another call took over its id."""
    for message in messages[place + 1 :]:
        if isinstance(message, AssistantMessage) and isinstance(message.content, list):
            if any(call.id == call_id for call in message.content):
                return None
        elif isinstance(message, FunctionExecutionResultMessage):
            for result in message.content:
                if result.call_id == call_id:
                    return result
    return None
