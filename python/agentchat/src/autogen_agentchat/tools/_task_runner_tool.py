"""What agents and teams have in common as tools: one parameter, the task; one call at a time; the answer as text.

Stands on agents, teams and the tool contracts of `autogen_core`; knows no model.
"""

import asyncio
from abc import ABC
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage
from autogen_agentchat.teams import BaseGroupChat
from autogen_core import CancellationToken
from autogen_core.tools import BaseStreamTool


class TaskRunnerToolArgs(BaseModel):
    """The arguments of a call."""

    model_config = ConfigDict(defer_build=True)

    task: str = Field(description="What is to be done, with everything that is needed to know for it.")


class TaskRunnerTool(BaseStreamTool[TaskRunnerToolArgs, BaseAgentEvent | BaseChatMessage, TaskResult], ABC):
    """A tool that gives a task to an agent or a team, and returns what was said.

    The runner keeps its conversation from call to call. It can do one task at a time, so calls that come together wait
    for each other, in the order in which they came.

    Args:
        task_runner: Does the work.
        name: The tool's name.
        description: When to use it, for the model.
        return_value_as_last_message: Return only the last message, instead of all with their sources.
    """

    def __init__(
        self,
        task_runner: BaseGroupChat | BaseChatAgent,
        name: str,
        description: str,
        return_value_as_last_message: bool,
    ) -> None:
        super().__init__(
            args_type=TaskRunnerToolArgs, return_type=TaskResult, name=name, description=description, strict=True
        )
        self._task_runner = task_runner
        self._return_value_as_last_message = return_value_as_last_message
        self._turn = asyncio.Lock()

    async def run(self, args: TaskRunnerToolArgs, cancellation_token: CancellationToken) -> TaskResult:
        """Give the task to the runner and return its result, as soon as calls before this one are done."""
        async with self._turn:
            return await self._task_runner.run(task=args.task, cancellation_token=cancellation_token)

    async def run_stream(
        self, args: TaskRunnerToolArgs, cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | TaskResult, None]:
        """Give the task to the runner; yield what it says and does as it comes, and its result last.

        Closing the stream ends the runner's work.
        """
        async with (
            self._turn,
            aclosing(self._task_runner.run_stream(task=args.task, cancellation_token=cancellation_token)) as stream,
        ):
            async for item in stream:
                yield item

    def return_value_as_string(self, value: TaskResult) -> str:
        """Return the answer as text for the calling model: the chat messages, without the task and without events.

        Raises:
            ValueError: Only the last message is wanted, and there is none.
        """
        messages = [message for message in value.messages if isinstance(message, BaseChatMessage)]
        if messages and messages[0].source == "user":
            del messages[0]  # the task, which the caller knows
        if not self._return_value_as_last_message:
            return "\n\n".join(f"{message.source}: {message.to_model_text()}" for message in messages)
        if not messages:
            raise ValueError(f"{self.name} ended without a chat message, so there is no last message to return.")
        return messages[-1].to_model_text()

    async def save_state_json(self) -> Mapping[str, Any]:
        """Return the runner's state."""
        return await self._task_runner.save_state()

    async def load_state_json(self, state: Mapping[str, Any]) -> None:
        """Replace the runner's state."""
        await self._task_runner.load_state(state)
