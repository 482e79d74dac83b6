"""`AssistantAgent`: an agent that answers with a model and tools. How it is made, saved and loaded.

What it does in a turn is in `_think_act`. Stands on the contracts of `autogen_core` and on `BaseChatAgent`; knows no
provider of models and no team.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Self, cast

from pydantic import BaseModel, ConfigDict, Field

from autogen_agentchat.agents._base_chat_agent import BaseChatAgent
from autogen_agentchat.agents._repair import repair_context, repaired_state
from autogen_agentchat.agents._responses import check_summary_format, collected
from autogen_agentchat.agents._taken_in import TakenIn
from autogen_agentchat.agents._think_act import ThinkAct
from autogen_agentchat.agents._tool_calls import EventQueue, Toolbox, execute_tool_call
from autogen_agentchat.base import Handoff, Response
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    HandoffMessage,
    StructuredMessage,
    StructuredMessageFactory,
    TextMessage,
    ToolCallSummaryMessage,
)
from autogen_agentchat.state import AssistantAgentState
from autogen_core import CancellationToken, Component, ComponentModel, FunctionCall
from autogen_core.memory import Memory
from autogen_core.model_context import ChatCompletionContext, UnboundedChatCompletionContext
from autogen_core.models import ChatCompletionClient, FunctionExecutionResult, SystemMessage
from autogen_core.tools import BaseTool, FunctionTool, StaticStreamWorkbench, ToolSchema, Workbench


class AssistantAgentConfig(BaseModel):
    """The saved form of an `AssistantAgent`."""

    model_config = ConfigDict(defer_build=True)

    name: str
    model_client: ComponentModel
    tools: list[ComponentModel] | None = None
    workbench: list[ComponentModel] | None = None
    handoffs: list[Handoff | str] | None = None
    model_context: ComponentModel | None = None
    memory: list[ComponentModel] | None = None
    description: str
    system_message: str | None = None
    model_client_stream: bool = False
    reflect_on_tool_use: bool
    tool_call_summary_format: str
    max_tool_iterations: int = Field(default=1, ge=1)
    metadata: dict[str, str] | None = None
    structured_message_factory: ComponentModel | None = None


class AssistantAgent(BaseChatAgent, Component[AssistantAgentConfig]):
    """Answers with a model, which may call tools and hand the conversation over to other agents.

    In a turn the agent asks its model. If the model calls tools they run side by side, and then the model is asked again,
    `max_tool_iterations` times in all, until it answers in words, which are the response. If it still calls tools the
    last time, the response is the tools' results, or with `reflect_on_tool_use` what the model says to them. A failed
    call is a result, too: the model reads the error. If the model calls a handoff, the response is a `HandoffMessage`
    with what the agent found out; of several handoffs in one answer the first is taken.

    Args:
        name: A Python identifier that no other member of the same team has.
        model_client: The model.
        tools: Tools, or functions with type hints, whose docstring says to the model what they are for.
        workbench: One or more workbenches, in place of `tools`. They are neither started nor stopped here.
        handoffs: To whom the agent may hand over: names of agents, or `Handoff` with texts of your own.
        model_context: Keeps the conversation, and shows the model a part of it; by default all of it.
        description: What the agent is good at, for whoever chooses the next speaker.
        system_message: What the model is told before the conversation; `None` for nothing.
        model_client_stream: Yield the model's text as it comes, as `ModelClientStreamingChunkEvent`.
        reflect_on_tool_use: Ask the model for a final text after the last tool calls. By default only where
            `output_content_type` is given.
        max_tool_iterations: How often the model may be asked in one turn while it calls tools. When this many (more
            than one) were not enough, `TaskResult.stop_reason` says so.
        tool_call_summary_format: How the response shows a result: a `str.format` text with `{tool_name}`,
            `{arguments}`, `{result}` and `{is_error}`.
        tool_call_summary_formatter: A function in place of the format. It is not saved with the agent.
        output_content_type: The model must answer in JSON of this form; the response is a `StructuredMessage`.
        output_content_type_format: How a human reads such a message, a `str.format` text over its fields.
        memory: Asked in every turn. What they recall is in this turn's requests and not in the conversation.
        metadata: Free notes, saved with the agent.

    Raises:
        ValueError: The model cannot call functions, or names are not unique, or `tools` and `workbench` are both given,
            or a value is out of range.
        TypeError: `memory` is no sequence.
    """

    component_version = 2
    component_config_schema = AssistantAgentConfig
    component_provider_override = "autogen_agentchat.agents.AssistantAgent"

    def __init__(
        self,
        name: str,
        model_client: ChatCompletionClient,
        *,
        tools: list[BaseTool[Any, Any] | Callable[..., Any] | Callable[..., Awaitable[Any]]] | None = None,
        workbench: Workbench | Sequence[Workbench] | None = None,
        handoffs: list[Handoff | str] | None = None,
        model_context: ChatCompletionContext | None = None,
        description: str = "An agent that answers questions and uses tools where they help.",
        system_message: str | None = (
            "You are a helpful assistant. Use your tools where they help to solve the task. "
            "When the task is done, end your answer with the word TERMINATE."
        ),
        model_client_stream: bool = False,
        reflect_on_tool_use: bool | None = None,
        max_tool_iterations: int = 1,
        tool_call_summary_format: str = "{result}",
        tool_call_summary_formatter: Callable[[FunctionCall, FunctionExecutionResult], str] | None = None,
        output_content_type: type[BaseModel] | None = None,
        output_content_type_format: str | None = None,
        memory: Sequence[Memory] | None = None,
        metadata: dict[str, str] | None = None,
    ) -> None:
        super().__init__(name=name, description=description)
        if max_tool_iterations < 1:
            raise ValueError(
                f"Maximum number of tool iterations must be greater than or equal to 1, got {max_tool_iterations}"
            )
        check_summary_format(tool_call_summary_format)
        self._metadata = dict(metadata or {})
        self._model_client = model_client
        self._model_client_stream = model_client_stream
        self._output_content_type = output_content_type
        self._output_content_type_format = output_content_type_format
        self._memory = _checked_memory(memory)
        self._system_messages = [] if system_message is None else [SystemMessage(content=system_message)]
        self._tools = _make_tools(tools, model_client)
        self._handoffs = _make_handoffs(handoffs, model_client, {tool.name for tool in self._tools})
        self._handoff_tools: list[BaseTool[Any, Any]] = [handoff.handoff_tool for handoff in self._handoffs.values()]
        self._known_handoff_schemas: list[ToolSchema] | None = None
        self._workbench = _make_toolbox(workbench, self._tools)
        self._model_context = model_context if model_context is not None else UnboundedChatCompletionContext()
        self._reflect_on_tool_use = (
            output_content_type is not None if reflect_on_tool_use is None else reflect_on_tool_use
        )
        self._max_tool_iterations = max_tool_iterations
        self._taken_in = TakenIn()
        self._context_is_whole = False  # not looked at yet: it may hold calls that another program left without results
        self._tool_call_summary_format = tool_call_summary_format
        self._tool_call_summary_formatter = tool_call_summary_formatter

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        """The types of message that the agent may answer with."""
        types: list[type[BaseChatMessage]] = [TextMessage, ToolCallSummaryMessage, HandoffMessage]
        if self._output_content_type is not None:
            types.append(StructuredMessage[self._output_content_type])  # so that a team can read its saved messages
        return types

    @property
    def model_context(self) -> ChatCompletionContext:
        """The conversation as the agent keeps it."""
        return self._model_context

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        """Answer new messages.

        Raises:
            RunCancelledError: The token was cancelled (an `asyncio.CancelledError`). The conversation keeps the new
                messages, and the tool calls made until then, each with a result; those cut short have one that says so.
        """
        return await collected(self.on_messages_stream(messages, cancellation_token), cancellation_token)

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
        """Answer new messages, and yield chunks, thoughts and tool calls on the way, and the response last."""
        if not self._context_is_whole:
            await repair_context(self._model_context, self.name)
            self._context_is_whole = True
        fresh = self._taken_in.begin(messages)
        async with aclosing(ThinkAct(self, fresh, cancellation_token).run()) as turn:
            async for item in turn:
                if isinstance(item, Response):
                    self._taken_in.end()
                yield item

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Forget the conversation. Memories are kept."""
        self._taken_in.end()
        await self._model_context.clear()

    async def save_state(self) -> Mapping[str, Any]:
        """Return the conversation as JSON data."""
        context = await self._model_context.save_state()
        return AssistantAgentState(llm_context=context, taken_in=self._taken_in.ids).model_dump()

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Replace the conversation with one that `save_state` returned. Calls without a result get one that says so.

        Raises:
            pydantic.ValidationError: The data are no such state. The conversation is as before.
        """
        saved = AssistantAgentState.model_validate(state)
        await self._model_context.load_state(repaired_state(saved.llm_context, self.name))
        self._context_is_whole = True
        self._taken_in.restore(saved.taken_in)

    @staticmethod
    async def _execute_tool_call(
        tool_call: FunctionCall,
        workbench: Sequence[Workbench],
        handoff_tools: list[BaseTool[Any, Any]],
        agent_name: str,  # noqa: ARG004 - observers that wrap this method read it
        cancellation_token: CancellationToken,
        stream: EventQueue,
    ) -> tuple[FunctionCall, FunctionExecutionResult]:
        """Run one tool call. Instrumentors wrap this method by name, so every call passes it, with keywords."""
        return tool_call, await execute_tool_call(tool_call, workbench, handoff_tools, cancellation_token, stream)

    def _handoff_schemas(self) -> list[ToolSchema]:
        """What the model is told about handoffs, built at the first request."""
        if self._known_handoff_schemas is None:
            self._known_handoff_schemas = [tool.schema for tool in self._handoff_tools]
        return self._known_handoff_schemas

    def _to_config(self) -> AssistantAgentConfig:
        content_type = self._output_content_type
        factory = content_type and StructuredMessageFactory(
            input_model=content_type, format_string=self._output_content_type_format
        )
        return AssistantAgentConfig(
            name=self.name,
            model_client=self._model_client.dump_component(),
            workbench=[workbench.dump_component() for workbench in self._workbench] or None,
            handoffs=list(self._handoffs.values()) or None,
            model_context=self._model_context.dump_component(),
            memory=[memory.dump_component() for memory in self._memory] if self._memory else None,
            description=self.description,
            system_message=self._system_messages[0].content if self._system_messages else None,
            model_client_stream=self._model_client_stream,
            reflect_on_tool_use=self._reflect_on_tool_use,
            tool_call_summary_format=self._tool_call_summary_format,
            max_tool_iterations=self._max_tool_iterations,
            metadata=dict(self._metadata),
            structured_message_factory=factory.dump_component() if factory else None,
        )

    @classmethod
    def _from_config(cls, config: AssistantAgentConfig) -> Self:
        saved_factory = config.structured_message_factory
        factory = StructuredMessageFactory.load_component(saved_factory) if saved_factory is not None else None
        return cls(
            name=config.name,
            model_client=ChatCompletionClient.load_component(config.model_client),
            tools=[BaseTool.load_component(tool) for tool in config.tools] if config.tools else None,
            workbench=[Workbench.load_component(each) for each in config.workbench] if config.workbench else None,
            handoffs=config.handoffs,
            model_context=(
                ChatCompletionContext.load_component(config.model_context) if config.model_context else None
            ),
            memory=[Memory.load_component(each) for each in config.memory] if config.memory else None,
            description=config.description,
            system_message=config.system_message,
            model_client_stream=config.model_client_stream,
            reflect_on_tool_use=config.reflect_on_tool_use,
            max_tool_iterations=config.max_tool_iterations,
            tool_call_summary_format=config.tool_call_summary_format,
            output_content_type=factory.ContentModel if factory is not None else None,
            output_content_type_format=factory.format_string if factory is not None else None,
            metadata=config.metadata,
        )

    @classmethod
    def _from_config_past_version(cls, config: dict[str, Any], version: int) -> Self:
        """Read version 1, whose `workbench` was a single one."""
        if version < 1:
            return super()._from_config_past_version(config, version)
        workbench: object = config.get("workbench")
        if workbench is not None and not isinstance(workbench, list):
            config = {**config, "workbench": [workbench]}
        return cls._from_config(AssistantAgentConfig.model_validate(config))


def _checked_memory(memory: Sequence[Memory] | Memory | None) -> list[Memory] | None:
    if isinstance(memory, Memory):
        raise TypeError(f"Expected Memory, List[Memory], or None, got {type(memory)}. Put a single memory into a list.")
    return None if memory is None else list(memory)


def _make_tools(
    tools: Sequence[BaseTool[Any, Any] | Callable[..., Any]] | None, model_client: ChatCompletionClient
) -> list[BaseTool[Any, Any]]:
    if tools is None:
        return []
    if not model_client.model_info["function_calling"]:
        raise ValueError("The model does not support function calling, which is needed for tools.")
    made = [_as_tool(tool) for tool in tools]
    names = [tool.name for tool in made]
    if len(set(names)) < len(names):
        raise ValueError(f"Tool names must be unique: {names}")
    return made


def _as_tool(tool: object) -> BaseTool[Any, Any]:
    if isinstance(tool, BaseTool):
        return cast("BaseTool[Any, Any]", tool)
    if callable(tool):
        return FunctionTool(tool, description=getattr(tool, "__doc__", None) or "")
    raise ValueError(f"Unsupported tool type: {type(tool)}. Expected a BaseTool or a function.")


def _make_handoffs(
    handoffs: Sequence[Handoff | str] | None, model_client: ChatCompletionClient, taken: set[str]
) -> dict[str, Handoff]:
    if handoffs is None:
        return {}
    if not model_client.model_info["function_calling"]:
        raise ValueError("The model does not support function calling, which is needed for handoffs.")
    made = [_as_handoff(handoff) for handoff in handoffs]
    names = [handoff.name for handoff in made]
    if len(set(names)) < len(names):
        raise ValueError(f"Handoff names must be unique: {names}")
    if taken.intersection(names):
        raise ValueError(
            f"Handoff names must be unique from tool names. Tools: {sorted(taken)}, handoffs: {sorted(names)}"
        )
    return {handoff.name: handoff for handoff in made}


def _as_handoff(handoff: object) -> Handoff:
    if isinstance(handoff, Handoff):
        return handoff
    if isinstance(handoff, str):
        return Handoff(target=handoff)
    raise ValueError(f"Unsupported handoff type: {type(handoff)}. Expected the name of an agent, or a Handoff.")


def _make_toolbox(workbench: Workbench | Sequence[Workbench] | None, tools: list[BaseTool[Any, Any]]) -> Toolbox:
    if workbench is None:
        return Toolbox([StaticStreamWorkbench(tools)])
    if tools:
        raise ValueError("Tools cannot be used with a workbench. Put the tools into a StaticWorkbench of their own.")
    return Toolbox([workbench] if isinstance(workbench, Workbench) else workbench)
