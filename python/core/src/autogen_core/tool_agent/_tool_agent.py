"""An agent that runs tools for others: a function call in, its result out. Stands on routing and tools; knows no clients."""

import json
from dataclasses import dataclass
from typing import Any

from autogen_core._message_context import MessageContext
from autogen_core._routing import RoutedAgent, message_handler
from autogen_core.exceptions import AutoGenError
from autogen_core.models._types import FunctionCall, FunctionExecutionResult
from autogen_core.tools._tool import Tool


@dataclass(unsafe_hash=True)
class ToolException(AutoGenError):
    """A function call came to nothing.

    Attributes:
        call_id: The id of the call.
        content: What went wrong, as the model shall read it.
        name: The tool.
    """

    call_id: str
    content: str
    name: str

    def __post_init__(self) -> None:
        self.args = (self.call_id, self.content, self.name)

    def __str__(self) -> str:
        return self.content


class ToolNotFoundException(ToolException):
    """The agent has no tool of that name."""


class InvalidToolArgumentsException(ToolException):
    """The arguments are not JSON."""


class ToolExecutionException(ToolException):
    """The tool refused the arguments, or failed. What it raised is the cause."""


class ToolAgent(RoutedAgent):
    """Runs the tools that it is sent calls of, any number at the same time.

    Args:
        description: What the agent is for.
        tools: Its tools.
    """

    def __init__(self, description: str, tools: list[Tool]) -> None:
        super().__init__(description)
        self._tools = tools

    @property
    def tools(self) -> list[Tool]:
        """Its tools."""
        return self._tools

    @message_handler
    async def handle_function_call(self, message: FunctionCall, ctx: MessageContext) -> FunctionExecutionResult:
        """Run the tool that is called.

        Raises:
            ToolNotFoundException: There is no such tool.
            InvalidToolArgumentsException: The arguments are not JSON. No text at all counts as no arguments.
            ToolExecutionException: The tool refused the arguments, or failed.
        """
        tool = next((tool for tool in self._tools if tool.name == message.name), None)
        if tool is None:
            raise ToolNotFoundException(message.id, f"Error: Tool not found: {message.name}", message.name)
        try:
            arguments: Any = json.loads(message.arguments) if message.arguments.strip() else {}
        except json.JSONDecodeError as error:
            text = f"Error: Invalid arguments: {message.arguments}"
            raise InvalidToolArgumentsException(message.id, text, message.name) from error
        try:
            result = await tool.run_json(arguments, ctx.cancellation_token, call_id=message.id)
            content = tool.return_value_as_string(result)
        except Exception as error:
            raise ToolExecutionException(message.id, f"Error: {error}", message.name) from error
        return FunctionExecutionResult(content=content, name=message.name, call_id=message.id, is_error=False)
