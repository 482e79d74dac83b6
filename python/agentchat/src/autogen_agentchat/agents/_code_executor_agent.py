"""`CodeExecutorAgent`: an agent that runs code, which others wrote in the conversation or its own model writes.

Stands on `BaseChatAgent`, on the contracts of code executors and models, and on `_code_blocks` for what code is; a turn with
a model is in `_write_and_run`. Knows no executor and no provider of models: those are handed to it, and stay their owner's.
"""

import warnings
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from autogen_agentchat.agents._base_chat_agent import BaseChatAgent
from autogen_agentchat.agents._code_blocks import (
    ApprovalFuncType,
    ApprovalRequest,
    CodeBlockFinder,
    ask_approval,
    in_markdown,
    worded,
)
from autogen_agentchat.agents._responses import collected
from autogen_agentchat.agents._taken_in import TakenIn
from autogen_agentchat.agents._write_and_run import WriteAndRun
from autogen_agentchat.base import Response
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    TextMessage,
)
from autogen_agentchat.state import BaseState
from autogen_core import CancellationToken, Component, ComponentModel
from autogen_core.code_executor import CodeBlock, CodeExecutor, CodeResult
from autogen_core.lowlevel import Interrupt
from autogen_core.model_context import ChatCompletionContext, UnboundedChatCompletionContext
from autogen_core.models import ChatCompletionClient

Event = BaseAgentEvent | BaseChatMessage


class CodeExecutorAgentConfig(BaseModel):
    """The saved form of a `CodeExecutorAgent`."""

    model_config = ConfigDict(defer_build=True)

    name: str
    code_executor: ComponentModel
    model_client: ComponentModel | None = None
    description: str | None = None
    sources: list[str] | None = None
    system_message: str | None = None
    model_client_stream: bool = False
    model_context: ComponentModel | None = None
    supported_languages: list[str] | None = None
    max_retries_on_error: int | None = None


class CodeExecutorAgentState(BaseState):
    """The state of a `CodeExecutorAgent`. That of 0.7.5 held nothing."""

    type: str = Field(default="CodeExecutorAgentState")
    llm_context: Mapping[str, Any] | None = None
    """The state of its model context."""

    taken_in: list[str] = Field(default_factory=list[str])
    """The ids of the messages that a turn which has not ended put into the context."""


class CodeExecutorAgent(BaseChatAgent, Component[CodeExecutorAgentConfig]):
    """Runs code. Whoever may write into the conversation may then run code: use an executor that shuts it in.

    Without a model client the agent runs the code blocks of the text messages it is given, and answers with the output.
    With one, the model writes the code; it runs; and the model answers from the output. If the code fails, the model
    decides whether it can put it right, and writes it anew, `max_retries_on_error` times at most. If the model writes no
    code, its words are the answer.

    Args:
        name: A Python identifier that no other member of the same team has.
        code_executor: Runs the code. Start it before the first turn, and stop it after the last.
        model_client: Writes the code.
        model_context: Keeps the conversation, and shows the model a part of it; by default all of it.
        model_client_stream: Yield the model's text as it comes, as `ModelClientStreamingChunkEvent`.
        max_retries_on_error: How often code that failed may be written anew in one turn. The model must be capable of
            structured output.
        description: What the agent is good at, for whoever chooses the next speaker.
        system_message: What the model is told before the conversation; `None` for nothing.
        sources: Run only code of these senders; by default of all. The model's own code always runs.
        supported_languages: Which blocks are code; by default Python and shell.
        approval_func: Asked before code runs, each time. Code that is not approved counts as failed. An agent that has
            this function cannot be saved as a component.

    Raises:
        ValueError: `max_retries_on_error` needs a model that is capable of structured output.
    """

    DEFAULT_TERMINAL_DESCRIPTION = (
        "A terminal that runs the Python and shell code it is given, and can do nothing else."
    )
    DEFAULT_AGENT_DESCRIPTION = "A programmer who writes code for a task, runs it, and reports what came out."
    DEFAULT_SYSTEM_MESSAGE = (
        "You solve tasks by writing code, which is then run for you. Write whole programs in Markdown code blocks, each "
        "with its language: python or sh. Print everything that you need to know, since you see only what is printed. "
        "Nobody can type input while your code runs. When you have seen the output, answer in words, without code."
    )
    NO_CODE_BLOCKS_FOUND_MESSAGE = (
        "There was no code to run. Write it as a Markdown code block that begins with its language, such as ```python."
    )
    DEFAULT_SUPPORTED_LANGUAGES = ["python", "sh"]

    component_config_schema = CodeExecutorAgentConfig
    component_provider_override = "autogen_agentchat.agents.CodeExecutorAgent"

    def __init__(
        self,
        name: str,
        code_executor: CodeExecutor,
        *,
        model_client: ChatCompletionClient | None = None,
        model_context: ChatCompletionContext | None = None,
        model_client_stream: bool = False,
        max_retries_on_error: int = 0,
        description: str | None = None,
        system_message: str | None = DEFAULT_SYSTEM_MESSAGE,
        sources: Sequence[str] | None = None,
        supported_languages: list[str] | None = None,
        approval_func: ApprovalFuncType | None = None,
    ) -> None:
        if description is None:
            description = self.DEFAULT_TERMINAL_DESCRIPTION if model_client is None else self.DEFAULT_AGENT_DESCRIPTION
        super().__init__(name=name, description=description)
        if max_retries_on_error > 0:
            _check_can_decide(model_client)
        if approval_func is None:
            warnings.warn(
                f"CodeExecutorAgent {name!r} has no approval_func: code runs without anybody having looked at it.",
                stacklevel=2,
            )
        self._code_executor = code_executor
        self._model_client = model_client
        self._model_client_stream = model_client_stream
        self._model_context = model_context if model_context is not None else UnboundedChatCompletionContext()
        self._max_retries_on_error = max_retries_on_error
        self._system_message = system_message
        self._sources = None if sources is None else list(sources)
        self._supported_languages = list(
            self.DEFAULT_SUPPORTED_LANGUAGES if supported_languages is None else supported_languages
        )
        self._finder = CodeBlockFinder(self._supported_languages)
        self._approval_func = approval_func
        self._taken_in = TakenIn()

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        """`TextMessage`."""
        return (TextMessage,)

    @property
    def model_context(self) -> ChatCompletionContext:
        """The conversation as the agent keeps it. Without a model client it stays empty."""
        return self._model_context

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        """Run or write code for new messages, and answer.

        Raises:
            RunCancelledError: The token was cancelled (an `asyncio.CancelledError`). Running code is ended. The
                conversation keeps the messages and the code, which is noted not to have come to its end.
            Exception: The executor, the model or the approval function failed; the error is theirs.
        """
        return await collected(self.on_messages_stream(messages, cancellation_token), cancellation_token)

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
        """Answer new messages, and yield chunks, thoughts, code and results on the way, and the response last."""
        if self._model_client is None:
            yield await self._run_what_was_sent(messages, cancellation_token)
            return
        fresh = self._taken_in.begin(messages)
        async with aclosing(WriteAndRun(self, self._model_client, cancellation_token).run(fresh)) as turn:
            async for item in turn:
                if isinstance(item, Response):
                    self._taken_in.end()
                yield item

    async def extract_code_blocks_from_messages(self, messages: Sequence[BaseChatMessage]) -> list[CodeBlock]:
        """Return the code in text messages of the agent's `sources`, in its `supported_languages`."""
        return [
            block
            for message in messages
            if isinstance(message, TextMessage) and (self._sources is None or message.source in self._sources)
            for block in self._finder.find(message.content)
        ]

    async def execute_code_block(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> CodeResult:
        """Run code, if it is approved. All code runs here.

        Returns:
            The exit code, 1 if it was not approved; and the output, or in words what there was instead.

        Raises:
            asyncio.CancelledError: The token was cancelled; so was the executor's work.
            TypeError: The approval function did not return an `ApprovalResponse`. Nothing was run.
            Exception: What the executor or the approval function raised.
        """
        interrupt = Interrupt(cancellation_token)
        interrupt.check()
        if self._approval_func is not None:
            context = await self._model_context.get_messages()
            request = ApprovalRequest(code=in_markdown(code_blocks), context=context)
            answer = await interrupt.wait(ask_approval(self._approval_func, request, cancellation_token))
            if not answer.approved:
                return CodeResult(exit_code=1, output=f"Code execution was not approved. Reason: {answer.reason}")
        await self._gate.passed(cancellation_token)
        return worded(await interrupt.wait(self._code_executor.execute_code_blocks(code_blocks, cancellation_token)))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Forget the conversation. The executor is left as it is."""
        self._taken_in.end()
        await self._model_context.clear()

    async def save_state(self) -> Mapping[str, Any]:
        """Return the conversation as JSON data. What the executor holds is not in it."""
        context = await self._model_context.save_state()
        return CodeExecutorAgentState(llm_context=context, taken_in=self._taken_in.ids).model_dump()

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Replace the conversation with one that `save_state` returned. A state of 0.7.5 holds none: it changes nothing.

        Raises:
            pydantic.ValidationError: The data are no such state. The conversation is as before.
        """
        saved = CodeExecutorAgentState.model_validate(state)
        if saved.llm_context is not None:
            await self._model_context.load_state(saved.llm_context)
            self._taken_in.restore(saved.taken_in)

    async def _run_what_was_sent(self, messages: Sequence[BaseChatMessage], token: CancellationToken) -> Response:
        blocks = await self.extract_code_blocks_from_messages(messages)
        if not blocks:
            return Response(chat_message=TextMessage(content=self.NO_CODE_BLOCKS_FOUND_MESSAGE, source=self.name))
        result = await self.execute_code_block(blocks, token)
        Interrupt(token).check()
        return Response(chat_message=TextMessage(content=result.output, source=self.name))

    def _to_config(self) -> CodeExecutorAgentConfig:
        if self._approval_func is not None:
            raise ValueError(
                f"Cannot serialize CodeExecutorAgent {self.name!r} with approval_func set: a function cannot be saved. "
                "Make the agent without it, save that, and pass the function where the agent is made again."
            )
        return CodeExecutorAgentConfig(
            name=self.name,
            code_executor=self._code_executor.dump_component(),
            model_client=self._model_client.dump_component() if self._model_client is not None else None,
            description=self.description,
            sources=self._sources,
            system_message=self._system_message,
            model_client_stream=self._model_client_stream,
            model_context=self._model_context.dump_component(),
            supported_languages=self._supported_languages,
            max_retries_on_error=self._max_retries_on_error or None,
        )

    @classmethod
    def _from_config(cls, config: CodeExecutorAgentConfig) -> Self:
        return cls(
            name=config.name,
            code_executor=CodeExecutor.load_component(config.code_executor),
            model_client=ChatCompletionClient.load_component(config.model_client) if config.model_client else None,
            model_context=(
                ChatCompletionContext.load_component(config.model_context) if config.model_context else None
            ),
            model_client_stream=config.model_client_stream,
            max_retries_on_error=config.max_retries_on_error or 0,
            description=config.description,
            system_message=config.system_message,
            sources=config.sources,
            supported_languages=config.supported_languages,
        )


def _check_can_decide(model_client: ChatCompletionClient | None) -> None:
    if model_client is None:
        raise ValueError("max_retries_on_error > 0 needs a model_client, which decides whether to retry.")
    if not model_client.model_info.get("structured_output"):
        raise ValueError(
            "max_retries_on_error > 0 needs a model that is capable of structured output, "
            "and the model_client's model_info says that this one is not."
        )
