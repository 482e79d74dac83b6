"""Looks into replies in OpenAI's form, as plain JSON or as the SDK's objects, whatever a server left out or added.

Stands on the model contract; knows neither clients nor the SDK.
"""

from typing import Any, cast

from autogen_core.models import ChatCompletionTokenLogprob, TopLogprob

REASONING = ("reasoning_content", "reasoning")
"""Fields in which servers keep the reasoning apart from the text; there are two customs of naming it."""

READ_OF_MESSAGE = frozenset(
    {"role", "content", "refusal", "tool_calls", "function_call", "annotations", "audio", "index", "parsed", *REASONING}
)
"""Fields of a message that are read, or that a server has no use for; all others are kept for it."""

READ_OF_CALL = frozenset({"id", "type", "function", "index"})
READ_OF_FUNCTION = frozenset({"name", "arguments", "parsed_arguments"})
READ_OF_PART = frozenset({"type", "text"})


def get(value: Any, name: str) -> Any:
    """Return an attribute or entry, or `None`: servers leave out what the SDK's types promise."""
    if isinstance(value, dict):
        return cast("dict[str, Any]", value).get(name)
    return getattr(value, name, None)


def items_of(value: Any) -> list[Any]:
    """Return a list, or an empty one in place of anything else."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def texts_of(content: Any) -> list[str]:
    """Return the text of a content, which some servers send as a list of parts."""
    if isinstance(content, str):
        return [content] if content else []
    texts = (get(part, "text") for part in items_of(content))
    return [text for text in texts if isinstance(text, str) and text]


def reasoning_of(message: Any) -> tuple[str, str] | None:
    """Return the reasoning beside a message's text, with the name of its field."""
    for name in REASONING:
        value = get(message, name)
        if isinstance(value, str) and value:
            return name, value
    return None


def unread(value: Any, read: frozenset[str]) -> dict[str, Any]:
    """Return what a server added to the protocol, and is not empty, as JSON."""
    fields = cast("dict[str, Any] | None", value if isinstance(value, dict) else getattr(value, "model_extra", None))
    if not fields or fields.keys() <= read:
        return {}
    return {key: plain(item) for key, item in fields.items() if key not in read and item not in (None, "", [], {})}


def marked_parts(content: Any) -> list[Any]:
    """Return the parts of a content if any of them carries more than its text."""
    parts = items_of(content)
    return [plain(part) for part in parts] if any(unread(part, READ_OF_PART) for part in parts) else []


def plain(value: Any) -> Any:
    """Return a value as JSON: the SDK makes objects of what it knows."""
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json", exclude_unset=True, warnings=False)
    if isinstance(value, list):
        return [plain(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in cast("dict[str, Any]", value).items()}
    return value


def logprob_of(item: Any) -> ChatCompletionTokenLogprob | None:
    """Return the log probability of a token; `None` if it is unreadable."""
    token, logprob = get(item, "token"), get(item, "logprob")
    if not isinstance(token, str) or not isinstance(logprob, int | float):
        return None
    others = ((get(other, "logprob"), get(other, "bytes")) for other in items_of(get(item, "top_logprobs")))
    top = [TopLogprob(logprob=value, bytes=code) for value, code in others if isinstance(value, int | float)]
    return ChatCompletionTokenLogprob(token=token, logprob=logprob, top_logprobs=top, bytes=get(item, "bytes"))
