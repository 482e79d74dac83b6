"""Writes our messages and tools as Semantic Kernel's history and functions. Stands on the model contract and the SDK."""

from collections.abc import Sequence
from typing import Any, NoReturn

from semantic_kernel import Kernel
from semantic_kernel.contents import (
    AuthorRole,
    ChatHistory,
    ChatMessageContent,
    FunctionCallContent,
    FunctionResultContent,
    ImageContent,
    TextContent,
)
from semantic_kernel.functions import KernelFunction, KernelFunctionMetadata, KernelParameterMetadata

from autogen_core import Image
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from autogen_ext.models._shared._references import without_references
from autogen_ext.models._shared._tokens import image_tokens
from autogen_ext.models._shared._tools import ToolSpec

PLUGIN = "autogen_tools"
"""Where tools are kept in the kernel. Its name is not sent, so a model sees tools by their own names."""


class OfferedTool(KernelFunction):
    """A tool as a model sees it. The kernel never calls it: calls go back to who asked the model."""

    async def _invoke_internal(self, context: Any) -> NoReturn:
        raise NotImplementedError(f"{self.name} is called by agents, not by the kernel.")

    async def _invoke_internal_stream(self, context: Any) -> NoReturn:
        raise NotImplementedError(f"{self.name} is called by agents, not by the kernel.")


def encode_history(messages: Sequence[LLMMessage], *, vision: bool) -> ChatHistory:
    """Return a conversation as Semantic Kernel's history.

    Raises:
        ValueError: There is an image, but the model takes none.
    """
    history = ChatHistory()
    for message in messages:
        for encoded in _encode(message, vision):
            history.add_message(encoded)
    return history


def _encode(message: LLMMessage, vision: bool) -> list[ChatMessageContent]:
    if isinstance(message, SystemMessage):
        return [ChatMessageContent(role=AuthorRole.SYSTEM, content=message.content)]
    if isinstance(message, UserMessage):
        content = message.content
        if isinstance(content, str):
            return [ChatMessageContent(role=AuthorRole.USER, content=content)]
        return [ChatMessageContent(role=AuthorRole.USER, items=[_encode_part(part, vision) for part in content])]
    if isinstance(message, FunctionExecutionResultMessage):
        results = [
            FunctionResultContent(id=result.call_id, function_name=result.name, result=result.content)
            for result in message.content
        ]
        return [ChatMessageContent(role=AuthorRole.TOOL, items=[result]) for result in results]
    return [_encode_assistant(message)]


def _encode_part(part: str | Image, vision: bool) -> TextContent | ImageContent:
    if isinstance(part, str):
        return TextContent(text=part)
    if not vision:
        raise ValueError(
            "Model does not support vision and image was provided. Use a model that sees images, say so in "
            "model_info, or remove images before the call."
        )
    return ImageContent(data_uri=part.data_uri)


def _encode_assistant(message: AssistantMessage) -> ChatMessageContent:
    if isinstance(message.content, str):
        return ChatMessageContent(role=AuthorRole.ASSISTANT, content=message.content)
    calls = [
        FunctionCallContent(id=call.id, name=call.name, function_name=call.name, arguments=call.arguments)
        for call in message.content
    ]
    said = [TextContent(text=message.thought)] if message.thought else []
    return ChatMessageContent(role=AuthorRole.ASSISTANT, items=[*said, *calls])


def countable(messages: Sequence[LLMMessage]) -> list[dict[str, Any]]:
    """Return messages in the form in which tokens are counted; no image is encoded for that."""
    counted: list[dict[str, Any]] = []
    for message in messages:
        content = message.content
        if isinstance(message, UserMessage) and not isinstance(content, str):
            parts: list[dict[str, Any]] = [
                {"type": "image", "tokens": image_tokens(part)} if isinstance(part, Image) else {"text": part}
                for part in message.content
            ]
            counted.append({"role": "user", "content": parts})
        elif isinstance(message, AssistantMessage) and not isinstance(message.content, str):
            calls = [{"name": call.name, "arguments": call.arguments} for call in message.content]
            counted.append({"role": "assistant", "content": message.thought, "tool_calls": calls})
        elif isinstance(message, FunctionExecutionResultMessage):
            counted.extend({"role": "tool", "content": result.content} for result in message.content)
        else:
            counted.append({"role": "user", "content": content})
    return counted


def loggable(history: ChatHistory) -> list[dict[str, Any]]:
    """Return a history as JSON, for records."""
    return [message.to_dict() for message in history.messages]


def kernel_with(tools: Sequence[ToolSpec]) -> Kernel:
    """Return a kernel that offers these tools and nothing else."""
    kernel = Kernel()
    plugin = kernel.add_functions(PLUGIN, {tool.name: OfferedTool(metadata=_metadata(tool)) for tool in tools})
    for function in plugin.functions.values():
        # Only now: adding a function to a plugin puts the plugin's name in front of its own.
        function.metadata.plugin_name = None
    return kernel


def _metadata(tool: ToolSpec) -> KernelFunctionMetadata:
    schema = without_references(tool.parameters)
    properties: dict[str, Any] = schema.get("properties") or {}
    required: list[str] = schema.get("required") or []
    # Not validated: older versions of the SDK refuse a hyphen in a name, but services take it.
    return KernelFunctionMetadata.model_construct(
        name=tool.name,
        description=tool.description,
        is_prompt=False,
        plugin_name=None,
        parameters=[
            KernelParameterMetadata(
                name=name,
                description=fields.get("description"),
                default_value=fields.get("default"),
                type=str(fields.get("type", "any")),
                is_required=name in required,
                schema_data=fields,
            )
            for name, fields in properties.items()
        ],
    )
