"""Runs the tool calls of one answer side by side, forwards what they stream, and gives every call exactly one result.

Stands on the workbenches and tools of `autogen_core` and on messages. Knows no agent: who runs a single call is passed in.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, cast

from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage
from autogen_core import CancellationToken, FunctionCall
from autogen_core.lowlevel import start_eagerly
from autogen_core.models import FunctionExecutionResult
from autogen_core.tools import BaseTool, StaticWorkbench, StreamWorkbench, ToolResult, ToolSchema, Workbench

EventQueue = asyncio.Queue[BaseAgentEvent | BaseChatMessage | None]
"""Where a running tool puts messages and events for whoever watches the agent. `None` marks the end."""

Executed = tuple[FunctionCall, FunctionExecutionResult]
RunCall = Callable[[FunctionCall, EventQueue], Coroutine[Any, Any, Executed]]


class Toolbox(list[Workbench]):
    """An agent's workbenches, and what each of them offered last.

    A static workbench is asked once, for its tools do not change and their schemas are costly to build; others, such as
    MCP servers, are asked for each model request.
    """

    def __init__(self, workbenches: Iterable[Workbench] = ()) -> None:
        super().__init__(workbenches)
        self._offers: dict[int, tuple[Workbench, list[ToolSchema]]] = {}

    @classmethod
    def of(cls, workbenches: Sequence[Workbench]) -> "Toolbox":
        """Take the workbenches as they are if they are a toolbox already."""
        return workbenches if isinstance(workbenches, cls) else cls(workbenches)

    async def schemas(self) -> list[ToolSchema]:
        """Say what all workbenches offer, in their order."""
        offers: list[ToolSchema] = []
        for workbench in self:
            offers += await self._ask(workbench)
        return offers

    async def find(self, name: str) -> Workbench | None:
        """Return the first workbench that offers a tool of this name.

        A workbench that the model has been told about is not asked again; the others are.
        """
        for workbench in self:
            if _offers(self._last_offer(workbench) or (), name):
                return workbench
        for workbench in self:
            if _offers(await self._ask(workbench), name):
                return workbench
        return None

    async def _ask(self, workbench: Workbench) -> list[ToolSchema]:
        known = self._last_offer(workbench)
        if known is not None and type(workbench).list_tools is StaticWorkbench.list_tools:
            return known
        offer = await workbench.list_tools()
        self._offers[id(workbench)] = (workbench, offer)
        return offer

    def _last_offer(self, workbench: Workbench) -> list[ToolSchema] | None:
        owner, offer = self._offers.get(id(workbench), (None, None))
        return offer if owner is workbench else None  # an id can be used again, after somebody changed the list


class ToolCalls:
    """The tool calls of one answer, run side by side.

    Args:
        calls: The calls, in the model's order.
        run_call: Runs one call; whatever it raises becomes an error result.
        token: Cancels the running calls; each of them sees it as `asyncio.CancelledError`.
        refused: Results of calls that are not to be run, by their position.
    """

    def __init__(
        self,
        calls: Sequence[FunctionCall],
        run_call: RunCall,
        token: CancellationToken,
        refused: Mapping[int, FunctionExecutionResult],
    ) -> None:
        self._calls = calls
        self._run_call = run_call
        self._token = token
        self._refused = refused
        self._tasks: dict[int, asyncio.Task[Executed]] = {}

    async def events(self) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage, None]:
        """Run the calls and yield what they stream. Ends when each has ended; closing it early cancels those that run."""
        queue: EventQueue = asyncio.Queue()
        try:
            for position, call in enumerate(self._calls):
                if position not in self._refused:
                    self._tasks[position] = self._start(call, queue)
            # The last task to end wakes the reader. A tool may put `None` as well, so count rather than trust it.
            while not all(task.done() for task in self._tasks.values()) or not queue.empty():
                event = await queue.get()
                if event is not None:
                    yield event
        except asyncio.CancelledError:
            # What the tools had said is said, before the run ends; a reader that is gone itself wants no more.
            while self._token.is_cancelled() and not queue.empty():
                if (event := queue.get_nowait()) is not None:
                    yield event
            raise
        finally:
            await self._settle()

    def results(self) -> list[FunctionExecutionResult]:
        """Return one result for each call, in the order of the calls. Call it after `events` ended or was closed."""
        return [
            self._refused[position] if position in self._refused else _outcome(call, self._tasks.get(position))
            for position, call in enumerate(self._calls)
        ]

    def _start(self, call: FunctionCall, queue: EventQueue) -> asyncio.Task[Executed]:
        """Start a call. One that need not wait for anything is done when this returns."""
        task = start_eagerly(self._run_call(call, queue), asyncio.get_running_loop())
        if not task.done():
            task.add_done_callback(lambda _: queue.put_nowait(None))
            self._token.link_future(task)
        return task

    async def _settle(self) -> None:
        """Wait for every task. Those still running are cancelled first: nobody listens to them any more."""
        running = [task for task in self._tasks.values() if not task.done()]
        for task in running:
            if not task.cancelling():  # a second request would break into what it does to end well
                task.cancel()
        if running:
            await asyncio.wait(running)


async def execute_tool_call(
    call: FunctionCall,
    workbenches: Sequence[Workbench],
    handoff_tools: Sequence[BaseTool[Any, Any]],
    token: CancellationToken,
    stream: EventQueue,
) -> FunctionExecutionResult:
    """Run one call, by a handoff's tool or by the workbench that offers it. An error is a result, too.

    Raises:
        asyncio.CancelledError: The call was cancelled.
    """
    try:
        arguments = parse_arguments(call)
        handoff_tool = next((tool for tool in handoff_tools if tool.name == call.name), None)
        if handoff_tool is not None:
            value = await handoff_tool.run_json(arguments, token, call_id=call.id)
            text, is_error = handoff_tool.return_value_as_string(value), False
        else:
            result = await _call_workbench(workbenches, call, arguments, token, stream)
            text, is_error = result.to_text(replace_image="[image]"), result.is_error
    except Exception as error:  # noqa: BLE001 - whatever a tool raises is for the model to read
        return error_result(call, str(error) or type(error).__name__)
    return FunctionExecutionResult(content=text, name=call.name, call_id=call.id, is_error=is_error)


def parse_arguments(call: FunctionCall) -> dict[str, Any]:
    """Read the arguments of a call.

    Raises:
        ValueError: They are no JSON, or no JSON object.
    """
    try:
        arguments = json.loads(call.arguments)
    except RecursionError:
        raise ValueError("the arguments are nested too deeply") from None
    if not isinstance(arguments, dict):
        raise ValueError(f"the arguments must be a JSON object, got {call.arguments[:80]}")
    return cast("dict[str, Any]", arguments)


def error_result(call: FunctionCall, text: str) -> FunctionExecutionResult:
    """Tell the model that a call failed."""
    return FunctionExecutionResult(content=f"Error: {text}", name=call.name, call_id=call.id, is_error=True)


def choose_handoff(
    calls: Sequence[FunctionCall], targets: Mapping[str, str]
) -> tuple[int | None, dict[int, FunctionExecutionResult]]:
    """Choose among several handoffs in one answer: the first whose arguments can be read is taken.

    Args:
        calls: The calls of the answer.
        targets: Who is meant, by the name of the handoff's tool.

    Returns:
        The position of the handoff to take, if any, and the results of the others, which are not to be run.
    """
    chosen: int | None = None
    refused: dict[int, FunctionExecutionResult] = {}
    for position, call in enumerate(calls):
        if call.name not in targets or not _is_readable(call):
            continue
        if chosen is None:
            chosen = position
            continue
        taken = targets[calls[chosen].name]
        refused[position] = error_result(
            call, f"not handed over to {targets[call.name]}: only one handoff is possible, and {taken} was called first"
        )
    return chosen, refused


def _is_readable(call: FunctionCall) -> bool:
    try:
        parse_arguments(call)
    except ValueError:
        return False
    return True


def _offers(schemas: Iterable[ToolSchema], name: str) -> bool:
    return any(schema["name"] == name for schema in schemas)


async def _call_workbench(
    workbenches: Sequence[Workbench],
    call: FunctionCall,
    arguments: dict[str, Any],
    token: CancellationToken,
    stream: EventQueue,
) -> ToolResult:
    workbench = await Toolbox.of(workbenches).find(call.name)
    if workbench is None:
        raise LookupError(f"tool '{call.name}' not found in any workbench")
    if not isinstance(workbench, StreamWorkbench):
        return await workbench.call_tool(call.name, arguments, token, call.id)
    result: ToolResult | None = None
    parts = workbench.call_tool_stream(call.name, arguments, token, call.id)
    async with aclosing(parts):
        async for part in parts:
            if isinstance(part, ToolResult):
                result = part
            elif isinstance(part, BaseAgentEvent | BaseChatMessage):
                await stream.put(part)
    if result is None:
        raise RuntimeError(f"tool '{call.name}' ended without a result")
    return result


def _outcome(call: FunctionCall, task: asyncio.Task[Executed] | None) -> FunctionExecutionResult:
    if task is None or not task.done() or task.cancelled():
        return error_result(call, "the call was cancelled before it finished")
    error = task.exception()
    if error is None:
        return task.result()[1]
    if not isinstance(error, Exception):
        raise error  # KeyboardInterrupt and its like are nobody's result
    return error_result(call, str(error) or type(error).__name__)
