"""Content as text, and conversations without images. Stands on the model contracts of `autogen_core`."""

from pydantic import BaseModel

from autogen_core import FunctionCall, Image
from autogen_core.models import FunctionExecutionResult, LLMMessage, UserMessage


def content_to_str(
    content: str | list[str | Image] | list[FunctionCall] | list[FunctionExecutionResult] | BaseModel,
) -> str:
    """Return the content of a message as text, one part a line, with `<image>` for images and JSON for models."""
    if isinstance(content, str):
        return content
    if isinstance(content, BaseModel):
        return content.model_dump_json()
    return "\n".join("<image>" if isinstance(part, Image) else str(part) for part in content)


def remove_images(messages: list[LLMMessage]) -> list[LLMMessage]:
    """Return the conversation with `<image>` in the place of each image, for models that cannot see.

    The messages given are not changed; those without images are in the result themselves.
    """
    return [
        message.model_copy(update={"content": content_to_str(message.content)})
        if type(message.content) is list
        and isinstance(message, UserMessage)  # nearly all are texts: the quick test first
        else message
        for message in messages
    ]
