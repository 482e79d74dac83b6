"""`WriteAndRun`: one turn of a code executor agent that has a model: write, run, put right what failed, answer.

One object per turn holds the agent and the token. Every model call passes `_passed_gate`, and every run of code the agent's
`execute_code_block`. Stands on messages and the contracts of models and code executors; knows the agent only as the
protocol `Programmer`.
"""

import logging
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from autogen_agentchat._names import EVENT_LOGGER_NAME
from autogen_agentchat.agents._code_blocks import CodeBlockFinder
from autogen_agentchat.agents._gate import PauseGate
from autogen_agentchat.base import Response
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    CodeExecutionEvent,
    CodeGenerationEvent,
    HandoffMessage,
    ModelClientStreamingChunkEvent,
    TextMessage,
    ThoughtEvent,
)
from autogen_agentchat.messages._base import new_id
from autogen_agentchat.utils import remove_images
from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock, CodeResult
from autogen_core.lowlevel import Interrupt
from autogen_core.model_context import ChatCompletionContext
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    RequestUsage,
    SystemMessage,
    UserMessage,
)

Event = BaseAgentEvent | BaseChatMessage

UNFINISHED = "The code did not run to its end, so there is no result."
"""What the conversation says of code that was cancelled, or never begun because the turn was given up."""

DECIDE = """The code failed. Its output was:

{output}

Say whether it is worth another try. Put into "reason" what went wrong, and what you would change in the code, or why no \
change can help. Put into "retry" true if you want to write the code anew, or else false."""

_log = logging.getLogger(EVENT_LOGGER_NAME)


class RetryDecision(BaseModel):
    """What a model says about code that failed."""

    model_config = ConfigDict(defer_build=True)

    reason: str
    retry: bool


class Programmer(Protocol):
    """What a turn needs of its agent."""

    _gate: PauseGate
    _model_context: ChatCompletionContext
    _model_client_stream: bool
    _max_retries_on_error: int
    _system_message: str | None
    _finder: CodeBlockFinder

    @property
    def name(self) -> str: ...

    def execute_code_block(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> Coroutine[Any, Any, CodeResult]: ...


class WriteAndRun:
    """One turn.

    Args:
        agent: Whose turn it is.
        client: Its model.
        token: Ends the turn at once when cancelled.
    """

    def __init__(self, agent: Programmer, client: ChatCompletionClient, token: CancellationToken) -> None:
        self.agent = agent
        self.client = client
        self.token = token
        self._interrupt = Interrupt(token)
        self._answer: CreateResult | None = None
        self._message_id = ""
        self._result: CodeResult | None = None
        self._unseen_usage: RequestUsage | None = None
        """Tokens of a decision that no event tells of; the final message does."""
        self._inner: list[Event] = []

    async def run(self, messages: Sequence[BaseChatMessage]) -> AsyncGenerator[Event | Response, None]:
        """Take new messages into the conversation, run the turn, and yield what happens in it, the response last."""
        await self._remember(messages)
        for attempt in range(max(0, self.agent._max_retries_on_error) + 1):
            async with aclosing(self._write()) as said:
                async for event in said:
                    yield event
            text = await self._say()
            blocks = self.agent._finder.find(text)
            if not blocks:
                yield self._respond(text)
                return
            async with aclosing(self._run_code(text, blocks, attempt)) as done:
                async for event in done:
                    yield event
            if self._succeeded or attempt >= self.agent._max_retries_on_error:
                break
            correction = await self._decide(attempt)
            if correction is None:
                break
            yield correction
        async with aclosing(self._write()) as said:
            async for event in said:
                yield event
        yield self._respond(await self._say())

    async def _remember(self, messages: Sequence[BaseChatMessage]) -> None:
        context = self.agent._model_context
        for message in messages:
            if isinstance(message, HandoffMessage):
                for earlier in message.context:
                    await context.add_message(earlier)
            await context.add_message(message.to_model_message())

    async def _write(self) -> AsyncGenerator[Event, None]:
        """Ask the model for its next words, keep them, and yield chunks and thought.

        Raises:
            RuntimeError: The model's stream ended without a result, or held something else.
        """
        self._answer = None
        self._message_id = new_id()
        system = self.agent._system_message
        request = await self._request([] if system is None else [SystemMessage(content=system)])
        if not self.agent._model_client_stream:
            self._answer = await self._interrupt.wait(self.client.create(request, cancellation_token=self.token))
        else:
            async with aclosing(self.client.create_stream(request, cancellation_token=self.token)) as stream:
                while (chunk := await self._interrupt.wait(anext(stream, None))) is not None:
                    if isinstance(chunk, CreateResult):
                        self._answer = chunk
                    else:
                        yield self._chunk(chunk)
        if self._last.thought:
            yield self._note(ThoughtEvent(content=self._last.thought, source=self.agent.name))

    async def _run_code(self, text: str, blocks: list[CodeBlock], attempt: int) -> AsyncGenerator[Event, None]:
        """Run what the model wrote. However that ends, the conversation has a word about it right after the code."""
        self._result = None
        outcome = UNFINISHED
        name = self.agent.name
        try:
            yield self._note(
                CodeGenerationEvent(
                    id=self._message_id,
                    retry_attempt=attempt,
                    content=text,
                    code_blocks=blocks,
                    source=name,
                    models_usage=self._last.usage,
                )
            )
            self._result = await self.agent.execute_code_block(blocks, self.token)
            outcome = self._result.output
        except Exception as error:
            outcome = f"The code could not be run: {type(error).__name__}: {error}"
            raise
        finally:
            await self.agent._model_context.add_message(UserMessage(content=outcome, source=name))
        yield self._note(CodeExecutionEvent(retry_attempt=attempt, result=self._result, source=name))
        self._interrupt.check()

    async def _decide(self, attempt: int) -> CodeGenerationEvent | None:
        """Let the model decide about code that failed. Return its plan, or `None` if there will be no other try."""
        name = self.agent.name
        output = self._result.output if self._result is not None else ""
        request = await self._request([], UserMessage(content=DECIDE.format(output=output), source=name))
        answer = await self._interrupt.wait(
            self.client.create(request, json_output=RetryDecision, cancellation_token=self.token)
        )
        self._unseen_usage = answer.usage
        try:
            decision = RetryDecision.model_validate_json(answer.content if isinstance(answer.content, str) else "")
        except ValidationError as error:  # the code's own failure is what the user should hear of
            _log.warning("%s: the decision whether to retry was not readable, so there is no retry: %s", name, error)
            return None
        if not decision.retry:
            return None
        plan = f"Attempt number: {attempt + 1}\nProposed correction: {decision.reason}"
        await self.agent._model_context.add_message(UserMessage(content=plan, source=name))
        self._unseen_usage = None
        event = CodeGenerationEvent(
            retry_attempt=attempt, content=plan, code_blocks=[], source=name, models_usage=answer.usage
        )
        self._inner.append(event)
        return event

    async def _request(self, before: Sequence[LLMMessage], *after: LLMMessage) -> list[LLMMessage]:
        """Return the conversation for a request, as soon as the agent is not paused."""
        self._interrupt.check()
        messages = await self._interrupt.wait(self.agent._model_context.get_messages())
        await self.agent._gate.passed(self.token)  # last, since the agent may be paused while the context is asked
        if not self.client.model_info["vision"]:
            messages = remove_images(messages)
        return [*before, *messages, *after]

    async def _say(self) -> str:
        """Put the model's words into the conversation, and return them.

        Raises:
            RuntimeError: They are no text. The conversation is left without them.
        """
        answer = self._last
        if not isinstance(answer.content, str):
            raise RuntimeError(
                f"The model of {self.agent.name!r} asked for tools, where a text was expected: it was offered none."
            )
        await self.agent._model_context.add_message(
            AssistantMessage(
                content=answer.content,
                thought=answer.thought,
                source=self.agent.name,
                provider_data=answer.provider_data,
            )
        )
        return answer.content

    def _respond(self, text: str) -> Response:
        usage = self._last.usage
        if self._unseen_usage is not None:
            usage = RequestUsage(
                prompt_tokens=usage.prompt_tokens + self._unseen_usage.prompt_tokens,
                completion_tokens=usage.completion_tokens + self._unseen_usage.completion_tokens,
            )
        message = TextMessage(content=text, source=self.agent.name, models_usage=usage, id=self._message_id)
        return Response(chat_message=message, inner_messages=self._inner)

    @property
    def _last(self) -> CreateResult:
        if self._answer is None:
            raise RuntimeError(
                "No final model result in streaming mode: the model's stream ended without a CreateResult."
            )
        return self._answer

    @property
    def _succeeded(self) -> bool:
        return self._result is not None and self._result.exit_code == 0

    def _chunk(self, chunk: object) -> ModelClientStreamingChunkEvent:
        if not isinstance(chunk, str):
            raise RuntimeError(f"Invalid chunk type: {type(chunk)}. A model's stream holds str and one CreateResult.")
        return ModelClientStreamingChunkEvent(content=chunk, source=self.agent.name, full_message_id=self._message_id)

    def _note(self, event: Event) -> Event:
        self._inner.append(event)
        return event
