"""How a client answers, whatever the provider: one way for whole answers and streams, with events, span and usage.

Stands on the model contract, `_shared` and `_answer`; must not know any provider: what differs is in hooks.
"""

import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

from pydantic import BaseModel

from autogen_core import EVENT_LOGGER_NAME, TRACE_LOGGER_NAME, CancellationToken
from autogen_core.logging import LLMCallEvent, LLMStreamEndEvent, LLMStreamStartEvent
from autogen_core.model_context import heal_history
from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage, ModelInfo, RequestUsage
from autogen_core.tools import Tool, ToolSchema

from ._answer import Answer, AnswerForm, FindCalls
from ._cancellation import cancellable, cancellable_items
from ._replies import add_usage
from ._telemetry import ModelCallSpan, model_call_span
from ._tools import ToolChoice, ToolSpec, check_tool_choice, tool_specs

_events = logging.getLogger(EVENT_LOGGER_NAME)
_logger = logging.getLogger(TRACE_LOGGER_NAME)

JsonOutput = bool | type[BaseModel] | None
"""Any JSON, JSON of a pydantic class, explicitly text, or whatever the arguments of the client say."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller asks for, checked against what the model can do."""

    messages: Sequence[LLMMessage]
    """The conversation, in which every call of a tool has a result."""
    tools: list[ToolSpec]
    choice: str
    """`auto`, `required`, `none`, or the name of the tool that must be called."""
    named: bool
    """The choice is the name of a tool."""
    json_output: JsonOutput
    extra: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One request, ready to be sent."""

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    arguments: dict[str, Any]
    """Everything else."""
    output: type[BaseModel] | None = None
    """The class that the answer must fit."""
    wants_json: bool = False
    """The answer is to be JSON of some kind."""
    must_call: bool = False
    """The answer is to be a call of a tool."""
    find_calls: FindCalls | None = None
    """Finds calls in the text of an answer, for models whose calls nobody else finds."""


class FlowingClient(ChatCompletionClient, ABC):
    """What the clients of a provider share: the flow of a call. The provider's part is in the methods without a body."""

    _provider: ClassVar[str]
    """The provider's name on spans and errors."""

    def __init__(self, model: str, info: ModelInfo) -> None:
        self._model = model
        self._server = ""
        self._model_info: ModelInfo = info
        self._reported: set[str] = set()
        self._total_usage = RequestUsage(prompt_tokens=0, completion_tokens=0)
        self._actual_usage = RequestUsage(prompt_tokens=0, completion_tokens=0)

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = [],
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        """Return the model's answer to a conversation.

        Args:
            messages: The conversation, oldest first. Calls of tools that no result follows get one that says so.
            tools: What the model may call.
            tool_choice: Whether it may call tools (`auto`), must call one (`required`), must call none (`none`), or
                must call this one.
            json_output: `True` for any JSON, a pydantic class for JSON of its form, `False` for text; `None` leaves it
                to the client's `response_format`.
            extra_create_args: Further arguments of the request; they win over the client's.
            cancellation_token: Cancels the request.

        Raises:
            ValueError: The model cannot do what is asked for, or an argument is refused. Nothing was sent.
            ModelClientError: The request failed; its subclasses derive from the SDK's errors, too.
            pydantic.ValidationError: The answer does not fit the class given as `json_output`.
            asyncio.CancelledError: The token was cancelled.
        """
        request = self._build(self._ask(messages, tools, tool_choice, json_output, extra_create_args))
        answer = Answer(self._form(request))
        with self._span(messages, request, streamed=False) as call:
            with self._explaining(), call.current():
                reply = await cancellable(self._send(request), cancellation_token)
                self._read(answer, reply)
            self._add_usage(answer.usage)
            result = answer.result()
            call.answered(result)
        if _events.isEnabledFor(logging.INFO):
            _events.info(
                LLMCallEvent(
                    messages=self._loggable(request),
                    response=self._dump(reply),
                    prompt_tokens=answer.usage.prompt_tokens,
                    completion_tokens=answer.usage.completion_tokens,
                    tools=request.tools,
                )
            )
        return result

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = [],
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Yield the model's answer piece by piece, and at the end the whole of it as a `CreateResult`.

        Reasoning that comes apart from the text stands between `<think>` tags. Closing the stream, or cancelling the
        token, ends the work on it. Arguments and errors are those of `create`.
        """
        request = self._build(self._ask(messages, tools, tool_choice, json_output, extra_create_args))
        answer = Answer(self._form(request))
        with self._span(messages, request, streamed=True) as call:
            async with aclosing(self._pieces(request, answer, call, cancellation_token)) as pieces:
                async for piece in pieces:
                    yield piece
            self._add_usage(answer.usage)
            result = answer.result()
            call.answered(result)
        if _events.isEnabledFor(logging.INFO):
            _events.info(
                LLMStreamEndEvent(
                    response=result.model_dump(),
                    prompt_tokens=answer.usage.prompt_tokens,
                    completion_tokens=answer.usage.completion_tokens,
                )
            )
        yield result

    def actual_usage(self) -> RequestUsage:
        """Return what all requests of this client used, as it was reported."""
        return self._actual_usage

    def total_usage(self) -> RequestUsage:
        """Return the same as `actual_usage`: this client answers nothing from a cache."""
        return self._total_usage

    @property
    def capabilities(self) -> ModelInfo:  # pyright: ignore[reportIncompatibleMethodOverride] - the contract's type
        """Deprecated form of `model_info`."""
        warnings.warn("capabilities is deprecated, use model_info instead.", DeprecationWarning, stacklevel=2)
        return self._model_info

    @property
    def model_info(self) -> ModelInfo:
        """What the model can do."""
        return self._model_info

    @abstractmethod
    def _build(self, asked: Asked) -> Request:
        """Build the request; raise `ValueError` for what the model cannot do."""

    @abstractmethod
    async def _send(self, request: Request) -> Any:
        """Ask for a whole answer."""

    @abstractmethod
    async def _open(self, request: Request) -> AsyncIterator[Any]:
        """Ask for a stream."""

    @abstractmethod
    async def _close_stream(self, stream: AsyncIterator[Any]) -> None:
        """Close a stream, read to its end or not."""

    @abstractmethod
    def _read(self, answer: Answer, reply: Any) -> None:
        """Read a whole reply."""

    @abstractmethod
    def _read_piece(self, answer: Answer, piece: Any) -> list[str]:
        """Read a piece of a stream; return what its reader shall see of it."""

    @abstractmethod
    def _explaining(self) -> AbstractContextManager[None]:
        """Turn the SDK's errors into typed ones without secrets."""

    @abstractmethod
    def _dump(self, reply: Any) -> dict[str, Any]:
        """Return a whole reply as JSON, for the record of the call."""

    @abstractmethod
    def _span_facts(self, request: Request) -> tuple[dict[str, Any], str | None]:
        """Return the arguments that a span records, by OpenAI's names, and where the request goes."""

    def _finish_stream(self, answer: Answer) -> list[str]:
        """Return what the reader of a stream shall see after its last piece."""
        return answer.end_thinking()

    def _loggable(self, request: Request) -> list[dict[str, Any]]:
        """Return the messages for the record of the call."""
        return request.messages

    async def _pieces(
        self, request: Request, answer: Answer, call: ModelCallSpan, token: CancellationToken | None
    ) -> AsyncGenerator[str, None]:
        """Send a streamed request, hand what comes to `answer`, and yield what the caller shall see of it."""
        with self._explaining():
            with call.current():
                stream = await cancellable(self._open(request), token)
            try:
                if _events.isEnabledFor(logging.INFO):
                    _events.info(LLMStreamStartEvent(messages=self._loggable(request)))
                async with aclosing(cancellable_items(stream, token)) as items:
                    async for item in items:
                        call.first_chunk()
                        for text in self._read_piece(answer, item):
                            yield text
            finally:
                await self._close_stream(stream)
        for text in self._finish_stream(answer):
            yield text

    def _ask(
        self,
        messages: Sequence[LLMMessage],
        tools: Sequence[Tool | ToolSchema],
        tool_choice: ToolChoice,
        json_output: JsonOutput,
        extra: Mapping[str, Any],
    ) -> Asked:
        """Check what is asked for against what the model can do, and heal the conversation."""
        healed = heal_history(messages)
        if healed.count:
            _logger.warning("Model %s: %d calls without results got one that says so.", self._model, healed.count)
        specs = tool_specs(tools)
        if specs and not self._model_info["function_calling"]:
            raise ValueError(
                "Model does not support function calling. Call it without tools, or say in model_info that it does."
            )
        choice = check_tool_choice(tool_choice, specs)
        if is_model_class(json_output):
            if not self._model_info.get("structured_output"):
                raise ValueError(
                    "Model does not support structured output. Use json_output=True, or say in model_info that it does."
                )
        elif json_output is True:
            if not self._model_info["json_output"]:
                raise ValueError(
                    "Model does not support JSON output. Ask for it in the prompt, or say in model_info that it does."
                )
        elif json_output is not None and json_output is not False:
            raise ValueError(f"json_output must be a boolean or a Pydantic model class, got {type(json_output)}.")
        return Asked(healed.messages, specs, choice, not isinstance(tool_choice, str), json_output, extra)

    def _span(self, messages: Sequence[LLMMessage], request: Request, *, streamed: bool) -> ModelCallSpan:
        arguments, url = self._span_facts(request)
        return model_call_span(
            self._provider, self._model, messages=messages, arguments=arguments, url=url, streamed=streamed
        )

    def _form(self, request: Request) -> AnswerForm:
        return AnswerForm(
            provider=self._provider,
            server=self._server,
            model=self._model,
            family=self._model_info["family"],
            output=request.output,
            wants_json=request.wants_json,
            must_call=request.must_call,
            tools=frozenset(str((tool.get("function") or tool).get("name")) for tool in request.tools),
            find_calls=request.find_calls,
            reported=self._reported,
        )

    def _add_usage(self, usage: RequestUsage) -> None:
        self._total_usage = add_usage(self._total_usage, usage)
        self._actual_usage = add_usage(self._actual_usage, usage)


def is_model_class(value: Any) -> bool:
    """Tell whether a value is a pydantic class."""
    return isinstance(value, type) and issubclass(value, BaseModel)


def get(value: Any, name: str) -> Any:
    """Return an attribute or entry, or `None`: servers leave out what the SDK's types promise."""
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value).get(name)
    return getattr(value, name, None)
