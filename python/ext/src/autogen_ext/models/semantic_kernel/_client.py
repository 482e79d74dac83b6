"""A connector of Semantic Kernel as a model client: `create` and `create_stream` on its public methods.

Stands on `_flow`, `_request`, `_decode`, `_errors` and the SDK.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, cast

from semantic_kernel import Kernel
from semantic_kernel.connectors.ai import PromptExecutionSettings
from semantic_kernel.connectors.ai.chat_completion_client_base import ChatCompletionClientBase

from autogen_core.models import LLMMessage, ModelFamily, ModelInfo, validate_model_info
from autogen_core.tools import Tool, ToolSchema
from autogen_ext.models._shared._answer import Answer
from autogen_ext.models._shared._flow import Asked, FlowingClient, Request, get
from autogen_ext.models._shared._tokens import count_messages, count_tools, token_counter
from autogen_ext.models._shared._tools import tool_specs

from ._decode import read_message
from ._encode import countable
from ._errors import explaining
from ._request import Connector, build, span_arguments

UNKNOWN_CONTEXT = 4096
"""Tokens that a context is taken to hold: connectors do not tell."""


class SKChatCompletionAdapter(FlowingClient):
    """Chat completion client on any chat connector of Semantic Kernel: Google, Mistral, Bedrock, Hugging Face, ONNX, ...

    Tools are offered to the model and its calls returned; the kernel calls none of them. A `function_choice_behavior` in
    the settings is used in calls without tools, where the connector may then call functions of your kernel by itself.

    Args:
        sk_client: The connector.
        kernel: The kernel whose functions the settings speak of. Not needed otherwise; also `extra_create_args["kernel"]`.
        prompt_settings: Settings of every request; also `extra_create_args["prompt_execution_settings"]`. Each setting may
            be given in `extra_create_args` by its name as well.
        model_info: What the model can do. By default it writes JSON, calls tools if the connector
            can, and nothing more.
        service_id: The name of the service in the settings.

    Raises:
        ValueError: `model_info` lacks something.
    """

    _provider: ClassVar[str] = "semantic_kernel"

    def __init__(
        self,
        sk_client: ChatCompletionClientBase,
        kernel: Kernel | None = None,
        prompt_settings: PromptExecutionSettings | None = None,
        model_info: ModelInfo | None = None,
        service_id: str | None = None,
    ) -> None:
        if model_info is None:
            model_info = ModelInfo(
                vision=False,
                function_calling=sk_client.SUPPORTS_FUNCTION_CALLING,
                json_output=True,
                family=ModelFamily.UNKNOWN,
                structured_output=False,
            )
        validate_model_info(model_info)
        super().__init__(sk_client.ai_model_id, model_info)
        self._connector = Connector(sk_client, kernel, prompt_settings, service_id)

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """Return about how many tokens a conversation takes: by tiktoken, or by an estimate without its tables.

        Blocks for the file or the network at first use, at most 3 seconds; never raises for want of a table.
        """
        count = token_counter(self._model)
        return count_messages(countable(messages), count) + count_tools(tool_specs(tools), count)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """Return about how many tokens are left beside a conversation in a context of 4,096, whatever the model's is."""
        return UNKNOWN_CONTEXT - self.count_tokens(messages, tools=tools)

    async def close(self) -> None:
        """Do nothing: the connector, with its connections, is its owner's to close."""

    def _build(self, asked: Asked) -> Request:
        return build(asked, info=self._model_info, connector=self._connector)

    async def _send(self, request: Request) -> Any:
        given = request.arguments
        return await self._connector.client.get_chat_message_contents(
            given["history"], given["settings"], **_with_kernel(given)
        )

    async def _open(self, request: Request) -> AsyncIterator[Any]:
        given = request.arguments
        return self._connector.client.get_streaming_chat_message_contents(
            given["history"], given["settings"], **_with_kernel(given)
        )

    async def _close_stream(self, stream: AsyncIterator[Any]) -> None:
        await cast("Any", stream).aclose()

    def _read(self, answer: Answer, reply: Any) -> None:
        for message in reply[:1]:
            read_message(answer, message, answer.form.tools, whole=True)

    def _read_piece(self, answer: Answer, piece: Any) -> list[str]:
        shown: list[str] = []
        for message in piece[:1]:
            shown.extend(read_message(answer, message, answer.form.tools, whole=False))
        return shown

    def _explaining(self) -> AbstractContextManager[None]:
        own = get(self._connector.client, "client")
        keys = (get(own, name) for name in ("api_key", "_api_key", "token"))
        return explaining(self._model, tuple(key for key in keys if isinstance(key, str)))

    def _dump(self, reply: Any) -> dict[str, Any]:
        return {"messages": [message.to_dict() for message in reply]}

    def _span_facts(self, request: Request) -> tuple[dict[str, Any], str | None]:
        return dict(span_arguments(request.arguments["settings"])), None


def _with_kernel(given: dict[str, Any]) -> dict[str, Any]:
    return {"kernel": given["kernel"]} if given["kernel"] is not None else {}
