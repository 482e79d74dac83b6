"""Keeps what a reply holds that our messages have no place for, so that it goes back unchanged on the next request.

Thoughts carry signatures, and the API refuses tool results whose thoughts were lost or altered; the calls of Anthropic's
own tools must come back, too. So a reply that holds more than text and calls travels with our messages as it came.
Stands on `_shared`; must not know the SDK.
"""

from collections.abc import Sequence
from typing import Any

from autogen_core import FunctionCall
from autogen_core.models import AssistantMessage
from autogen_ext.models._shared._provider_data import attach_to_first, message_fields, pack

Block = dict[str, Any]
"""A content block in the API's form."""

PROTOCOL = "anthropic"
"""Under which name the blocks travel."""

_PLAIN = {"text": {"type", "text", "citations"}, "tool_use": {"type", "id", "name", "input"}}
"""Blocks, and their fields, that our messages hold the whole of."""


def packed(blocks: Sequence[Block], calls: Sequence[FunctionCall], server: str) -> dict[str, Any] | None:
    """Return the provider data of a reply, `None` if our messages say all of it. The first call carries them, too."""
    if all(_is_plain(block) for block in blocks):
        return None
    data = pack(PROTOCOL, server, message={"content": list(blocks)})
    attach_to_first(calls, data)
    return data


def recalled(message: AssistantMessage, server: str) -> list[Block] | None:
    """Return the blocks of the reply that a message came from, not to be changed.

    `None` if the message says all of it, came from another server, or says something else by now.
    """
    content = message.content
    if message.provider_data is None and (isinstance(content, str) or not content or content[0].provider_data is None):
        return None  # as with most messages
    found: list[Block] = message_fields(message, PROTOCOL, server).get("content") or []
    if not found:
        return None
    called = [(block.get("id"), block.get("name")) for block in found if block.get("type") == "tool_use"]
    if isinstance(content, str):
        text = "".join(str(block.get("text") or "") for block in found if block.get("type") == "text")
        return None if called or content.strip() not in text else found
    return found if called == [(call.id, call.name) for call in content] else None


def _is_plain(block: Block) -> bool:
    known = _PLAIN.get(block.get("type", ""))
    if known is None:
        return False
    return not block.get("citations") and not any(value is not None for key, value in block.items() if key not in known)
