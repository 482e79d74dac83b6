"""`ThinkAct`: one turn of an assistant agent, from the messages it is given to its response.

One object per call holds the agent, the messages and the token, and runs the loop: remember, infer, act, respond. Every
model call passes `infer` or `infer_stream`, every tool call `call_tool`; whatever is to watch, limit or replay them attaches
there. Stands on the contracts of `autogen_core`, on messages, and on its neighbours for tool calls, memories and
responses. Knows the agent only as the protocol `Thinker`, and knows no team.
"""

import logging
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel

from autogen_agentchat._names import EVENT_LOGGER_NAME
from autogen_agentchat.agents._gate import PauseGate
from autogen_agentchat.agents._recollection import Recollection
from autogen_agentchat.agents._responses import (
    LimitedResponse,
    SummaryFormatter,
    ToolRound,
    handoff_context,
    text_message,
    tool_summary,
)
from autogen_agentchat.agents._tool_calls import EventQueue, Executed, Toolbox, ToolCalls, choose_handoff
from autogen_agentchat.base import Handoff, Response
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    HandoffMessage,
    MemoryQueryEvent,
    ModelClientStreamingChunkEvent,
    ThoughtEvent,
    ToolCallExecutionEvent,
    ToolCallRequestEvent,
)
from autogen_agentchat.messages._base import new_id
from autogen_agentchat.utils import remove_images
from autogen_core import CancellationToken, FunctionCall
from autogen_core.lowlevel import Interrupt
from autogen_core.memory import Memory
from autogen_core.model_context import ChatCompletionContext
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    FunctionExecutionResult,
    LLMMessage,
    SystemMessage,
)
from autogen_core.tools import BaseTool, ToolSchema, Workbench

Event = BaseAgentEvent | BaseChatMessage

_log = logging.getLogger(EVENT_LOGGER_NAME)


class Thinker(Protocol):
    """What a turn needs of its agent. It is looked up in every turn, so a change counts from the next one on."""

    _gate: PauseGate
    _model_client: ChatCompletionClient
    _model_client_stream: bool
    _system_messages: list[SystemMessage]
    _model_context: ChatCompletionContext
    _memory: list[Memory] | None
    _workbench: Toolbox
    _handoffs: dict[str, Handoff]
    _handoff_tools: list[BaseTool[Any, Any]]
    _reflect_on_tool_use: bool
    _max_tool_iterations: int
    _tool_call_summary_format: str
    _tool_call_summary_formatter: SummaryFormatter | None
    _output_content_type: type[BaseModel] | None
    _output_content_type_format: str | None

    @property
    def name(self) -> str: ...

    def _handoff_schemas(self) -> list[ToolSchema]: ...

    @staticmethod
    def _execute_tool_call(
        *,
        tool_call: FunctionCall,
        workbench: Sequence[Workbench],
        handoff_tools: list[BaseTool[Any, Any]],
        agent_name: str,
        cancellation_token: CancellationToken,
        stream: EventQueue,
    ) -> Coroutine[Any, Any, Executed]: ...


@dataclass(slots=True)
class ModelRequest:
    """One request to the model."""

    messages: list[LLMMessage]
    tools: list[ToolSchema] | None
    """What the model may call; `None` where it must answer in words."""


class ThinkAct:
    """One turn of an agent.

    Args:
        agent: Whose turn it is.
        messages: What is new to it.
        token: Ends the turn at once when cancelled.
    """

    def __init__(self, agent: Thinker, messages: Sequence[BaseChatMessage], token: CancellationToken) -> None:
        self.agent = agent
        self.messages = messages
        self.token = token
        self.answer: CreateResult | None = None
        """The model's last answer."""
        self.message_id = ""
        """The id that this answer has as a message; streamed chunks name it before."""
        self._interrupt = Interrupt(token)
        self._recollection = Recollection()
        self._said: list[LLMMessage] = []
        self._rounds: list[ToolRound] = []
        self._handoff: tuple[Handoff, FunctionExecutionResult] | None = None
        self._inner: list[Event] = []

    async def run(self) -> AsyncGenerator[Event | Response, None]:
        """Run the turn and yield what happens in it, the response last."""
        agent = self.agent
        for found in await self.remember():
            yield found
        left = agent._max_tool_iterations
        while True:
            # When the model has had its number of calls, it may still be asked to say in words what the last ones gave.
            request = await self._request(with_tools=left > 0)
            if agent._model_client_stream:
                async with aclosing(self.infer_stream(request)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            else:
                await self.infer(request)
            if self._answer.thought:
                yield self._note(ThoughtEvent(content=self._answer.thought, source=agent.name))
            if not self._calls:
                break
            if left == 0:
                raise RuntimeError("Reflect on tool use produced no valid text response.")
            left -= 1
            async with aclosing(self.act()) as done:
                async for event in done:
                    yield event
            if self._handoff is not None or (left == 0 and not agent._reflect_on_tool_use):
                break
        yield await self.respond(limited=left == 0 and self._handoff is None and agent._max_tool_iterations > 1)

    async def remember(self) -> list[Event]:
        """Put the new messages into the conversation, and ask the memories about it."""
        context = self.agent._model_context
        for message in self.messages:
            if isinstance(message, HandoffMessage):
                for earlier in message.context:
                    await context.add_message(earlier)
            await context.add_message(message.to_model_message())
        memories = self.agent._memory
        if not memories:
            return []
        self._interrupt.check()
        found = await self._interrupt.wait(self._recollection.ask(memories, context))
        return [self._note(MemoryQueryEvent(content=each, source=self.agent.name)) for each in found if each]

    async def infer(self, request: ModelRequest) -> None:
        """Ask the model and keep its answer. Every call that is not streamed is made here."""
        self._begin_answer()
        client = self.agent._model_client
        self.answer = await self._interrupt.wait(client.create(request.messages, **self._options(request)))

    async def infer_stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        """Ask the model, yield chunks, and keep the answer. Every streamed call is made here.

        Raises:
            RuntimeError: The model's stream ended without an answer, or held something else.
        """
        self._begin_answer()
        client = self.agent._model_client
        async with aclosing(client.create_stream(request.messages, **self._options(request))) as stream:
            while (chunk := await self._interrupt.wait(anext(stream, None))) is not None:
                if isinstance(chunk, CreateResult):
                    self.answer = chunk
                else:
                    yield self._chunk(chunk)

    def _begin_answer(self) -> None:
        self.answer = None
        self.message_id = new_id()
        self._interrupt.check()

    async def act(self) -> AsyncGenerator[Event, None]:
        """Run the tool calls of the answer side by side, and yield their events and then their results.

        Calls and results enter the conversation together, also when the turn is cancelled or closed meanwhile: what was
        done is kept, and what was not has a result that says so.
        """
        self._interrupt.check()
        answer, calls, name = self._answer, self._calls, self.agent.name
        yield self._logged(ToolCallRequestEvent(content=calls, source=name, models_usage=answer.usage))
        chosen, refused = choose_handoff(calls, {key: handoff.target for key, handoff in self.agent._handoffs.items()})
        running = ToolCalls(calls, self.call_tool, self.token, refused)
        try:
            async with aclosing(running.events()) as events:
                async for event in events:
                    yield self._note(event)
        finally:
            results = running.results()
            done = ToolRound(answer, calls, results)
            self._rounds.append(done)
            for message in done.model_messages(name):
                await self._say(message)
        yield self._logged(ToolCallExecutionEvent(content=results, source=name))
        self._interrupt.check()
        if chosen is not None and not results[chosen].is_error:
            self._handoff = (self.agent._handoffs[calls[chosen].name], results[chosen])

    async def call_tool(self, call: FunctionCall, stream: EventQueue) -> Executed:
        """Run one tool call. Every tool call is made here."""
        agent = self.agent
        await agent._gate.passed(self.token)
        return await agent._execute_tool_call(
            tool_call=call,
            workbench=agent._workbench,
            handoff_tools=agent._handoff_tools,
            agent_name=agent.name,
            cancellation_token=self.token,
            stream=stream,
        )

    async def respond(self, *, limited: bool) -> Response:
        """Make the response: a handoff, a summary of tool results, or the model's own words."""
        agent = self.agent
        message: BaseChatMessage
        if self._handoff is not None:
            handoff, result = self._handoff
            context = handoff_context(self._rounds, agent._handoffs, agent.name)
            message = HandoffMessage(content=result.content, target=handoff.target, source=agent.name, context=context)
        elif self._calls:
            message = tool_summary(
                self._rounds[-1], agent.name, agent._tool_call_summary_format, agent._tool_call_summary_formatter
            )
        else:
            answer = self._answer
            text = answer.content if isinstance(answer.content, str) else ""
            await self._say(
                AssistantMessage(
                    content=text, thought=answer.thought, source=agent.name, provider_data=answer.provider_data
                )
            )
            message = text_message(
                answer, agent.name, self.message_id, agent._output_content_type, agent._output_content_type_format
            )
        if limited:
            reason = f"Maximum number of tool iterations {agent._max_tool_iterations} reached."
            return LimitedResponse(chat_message=message, inner_messages=self._inner, stop_reason=reason)
        return Response(chat_message=message, inner_messages=self._inner)

    @property
    def _answer(self) -> CreateResult:
        if self.answer is None:
            raise RuntimeError(
                "No final model result in streaming mode: the model's stream ended without a CreateResult."
            )
        return self.answer

    @property
    def _calls(self) -> list[FunctionCall]:
        """The tool calls of the answer. None if it is a text."""
        content = self._answer.content
        return [] if isinstance(content, str) else content

    async def _request(self, *, with_tools: bool) -> ModelRequest:
        self._interrupt.check()
        request = await self._interrupt.wait(self._build_request(with_tools=with_tools))
        await self.agent._gate.passed(self.token)  # last, since the agent may be paused while the request is made
        return request

    async def _build_request(self, *, with_tools: bool) -> ModelRequest:
        agent = self.agent
        messages = self._recollection.apply(await agent._model_context.get_messages(), self._said)
        if not agent._model_client.model_info["vision"]:
            messages = remove_images(messages)
        tools = [*await Toolbox.of(agent._workbench).schemas(), *agent._handoff_schemas()] if with_tools else None
        return ModelRequest([*agent._system_messages, *messages], tools)

    def _options(self, request: ModelRequest) -> dict[str, Any]:
        options: dict[str, Any] = {
            "json_output": self.agent._output_content_type,
            "cancellation_token": self.token,
        }
        if request.tools is None:
            options["tool_choice"] = "none"
        else:
            options["tools"] = request.tools
        return options

    def _chunk(self, chunk: object) -> ModelClientStreamingChunkEvent:
        if not isinstance(chunk, str):
            raise RuntimeError(f"Invalid chunk type: {type(chunk)}. A model's stream holds str and one CreateResult.")
        return ModelClientStreamingChunkEvent(content=chunk, source=self.agent.name, full_message_id=self.message_id)

    async def _say(self, message: LLMMessage) -> None:
        """Add what the agent itself said or did to the conversation."""
        await self.agent._model_context.add_message(message)
        self._said.append(message)

    def _note(self, event: Event) -> Event:
        """Keep an event for the response's inner messages. Chunks are not kept: they are in the message they make up."""
        if not isinstance(event, ModelClientStreamingChunkEvent):
            self._inner.append(event)
        return event

    def _logged(self, event: Event) -> Event:
        _log.debug(event)
        return self._note(event)
