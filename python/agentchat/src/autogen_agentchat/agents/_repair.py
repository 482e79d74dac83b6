"""Repairs the conversation that an agent keeps, where calls of tools were left without results.

A turn of this package leaves none. They come with a conversation that another program, or an earlier release, began and did not
end. Model clients heal what they send, but in every request again, and what is stored stays broken for all who read it.
Stands on model contexts, through their public state only; knows no agent.
"""

import logging
from collections.abc import Mapping
from typing import Any, cast

from pydantic import ValidationError

from autogen_agentchat._names import TRACE_LOGGER_NAME
from autogen_core.model_context import ChatCompletionContext, ChatCompletionContextState, heal_history
from autogen_core.models import AssistantMessage

_log = logging.getLogger(TRACE_LOGGER_NAME)


async def repair_context(context: ChatCompletionContext, agent: str) -> None:
    """Give each call in a conversation a result, marked as an error where it had none; a whole one is not touched.

    A context whose state is not a list of messages, or that has no state, is left as it is.
    """
    try:
        state = await context.save_state()
    except NotImplementedError:
        return
    repaired = repaired_state(state, agent)
    if repaired is not state:
        await context.load_state(repaired)


def repaired_state(state: Mapping[str, Any], agent: str) -> Mapping[str, Any]:
    """Return the state of a model context in which each call has a result; the very state if it is so, or is no such state."""
    said = state.get("messages")
    if not isinstance(said, list) or not any(_may_call(message) for message in cast("list[object]", said)):
        return state
    try:
        messages = ChatCompletionContextState.model_validate({"messages": said}).messages
    except ValidationError:
        return state  # of a form of its own: the context knows it, and if it is none says so when it loads it
    healed = heal_history(messages)
    if healed.messages is messages:
        return state
    _log.warning(
        "Agent %s: its conversation was interrupted, and is repaired: results follow all calls; %d that were lost say so.",
        agent,
        healed.count,
    )
    # What was there stays as it was written, also what this release does not know of it.
    written = {id(message): data for message, data in zip(messages, cast("list[Any]", said), strict=True)}
    return {**state, "messages": [written.get(id(message)) or message.model_dump() for message in healed.messages]}


def _may_call(message: object) -> bool:
    if isinstance(message, Mapping):
        data = cast("Mapping[str, object]", message)
        return data.get("type") == "AssistantMessage" and isinstance(data.get("content"), list)
    return isinstance(message, AssistantMessage)
