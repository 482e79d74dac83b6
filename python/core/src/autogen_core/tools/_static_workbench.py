"""Workbenches with tools that do not change. Stands on the contracts of workbenches and tools; knows no particular tool."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Literal, Self, cast

from pydantic import BaseModel
from typing_extensions import TypeIs

from autogen_core._cancellation import CancellationToken
from autogen_core._component import Component, ComponentModel
from autogen_core._image import Image
from autogen_core._interrupt import Interrupt

from ._schema import ToolSchema, copy_json
from ._tool import BaseTool, StreamTool, Tool
from ._workbench import (
    ImageResultContent,
    ResultContent,
    StreamWorkbench,
    TextResultContent,
    ToolOverride,
    ToolResult,
    Workbench,
)


class StaticWorkbenchConfig(BaseModel):
    """A static workbench as data."""

    tools: list[ComponentModel] = []
    tool_overrides: dict[str, ToolOverride] = {}


class StaticWorkbenchState(BaseModel):
    """The states of the tools, by their own names."""

    type: Literal["StaticWorkbenchState"] = "StaticWorkbenchState"
    tools: dict[str, Mapping[str, Any]] = {}


class StaticWorkbench(Workbench, Component[StaticWorkbenchConfig]):
    """A workbench with tools that do not change.

    Args:
        tools: The tools, each with a name of its own.
        tool_overrides: By the name of a tool: another name or description to present it with.

    Raises:
        ValueError: Two tools have, or would have, the same name, or an override is for no tool.
    """

    component_provider_override = "autogen_core.tools.StaticWorkbench"
    component_config_schema = StaticWorkbenchConfig

    def __init__(self, tools: list[BaseTool[Any, Any]], tool_overrides: dict[str, ToolOverride] | None = None) -> None:
        self._tools = tools
        self._tool_overrides = dict(tool_overrides or {})
        self._by_name = {tool.name: tool for tool in tools} | _renamed(tools, self._tool_overrides)
        self._schemas: list[ToolSchema] | None = None

    async def list_tools(self) -> list[ToolSchema]:
        """Return the tools: made at first use, fresh copies each time.

        Raises:
            ValueError: A tool is strict and an argument has a default, or undeclared ones are accepted.
        """
        if self._schemas is None:
            self._schemas = [_presented(tool.schema, self._tool_overrides.get(tool.name)) for tool in self._tools]
        return copy_json(self._schemas)

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> ToolResult:
        """Call a tool by its name or override. What fails in it is a result with `is_error`, not an exception.

        Raises:
            asyncio.CancelledError: The token was cancelled.
        """
        tool = self._by_name.get(name)
        if tool is None:
            return _unknown(name)
        token = cancellation_token or CancellationToken()
        interrupt = Interrupt(token)
        interrupt.check()
        try:
            value = await interrupt.wait(tool.run_json(arguments or {}, token, call_id=call_id))
            return ToolResult(name=name, result=_contents(tool, value))
        except Exception as error:  # noqa: BLE001 - the model shall read it and try something else
            return _failure(name, error)

    async def start(self) -> None:
        """Do nothing: the tools are there."""

    async def stop(self) -> None:
        """Do nothing: the tools stay."""

    async def reset(self) -> None:
        """Do nothing: the tools do not change. Their own states stay."""

    async def save_state(self) -> Mapping[str, Any]:
        """Return the states of the tools."""
        states = {tool.name: await tool.save_state_json() for tool in self._tools}
        return StaticWorkbenchState(tools=states).model_dump()

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over the states of the tools. A tool that has none in `state` keeps its own.

        Raises:
            pydantic.ValidationError: It is not a state of a static workbench. Also a `ValueError`.
        """
        saved = StaticWorkbenchState.model_validate(state).tools
        for tool in self._tools:
            if tool.name in saved:
                await tool.load_state_json(saved[tool.name])

    def _to_config(self) -> StaticWorkbenchConfig:
        return StaticWorkbenchConfig(
            tools=[tool.dump_component() for tool in self._tools], tool_overrides=self._tool_overrides
        )

    @classmethod
    def _from_config(cls, config: StaticWorkbenchConfig) -> Self:
        tools: list[BaseTool[Any, Any]] = [BaseTool.load_component(tool) for tool in config.tools]
        return cls(tools=tools, tool_overrides=config.tool_overrides)


class StaticStreamWorkbench(StaticWorkbench, StreamWorkbench):
    """A static workbench that passes on what streaming tools tell while they work."""

    component_provider_override = "autogen_core.tools.StaticStreamWorkbench"

    async def call_tool_stream(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> AsyncGenerator[Any | ToolResult, None]:
        """Call a tool by its name or override, yielding what it tells, and a `ToolResult` as the last item.

        A tool that does not stream yields its result only. Closing the stream gives up the work.

        Raises:
            asyncio.CancelledError: The token was cancelled.
        """
        tool = self._by_name.get(name)
        if tool is None or not _streams(tool):
            yield await self.call_tool(name, arguments, cancellation_token, call_id)
            return
        token = cancellation_token or CancellationToken()
        held: list[Any] = []  # the last item, while it may be the result
        try:
            stream = tool.run_json_stream(arguments or {}, token, call_id=call_id)
            async with aclosing(_cancellable(stream, token)) as items:
                async for item in items:
                    if held:
                        yield held.pop()
                    if _may_be_result(item, tool.return_type()):
                        held.append(item)
                    else:
                        yield item
            if held:
                result = ToolResult(name=name, result=_contents(tool, held.pop()))
            else:
                result = _failure(name, TypeError(f"Tool {name!r} must yield its result as the last item."))
        except Exception as error:  # noqa: BLE001 - the model shall read it and try something else
            result = _failure(name, error)
        if held:
            yield held.pop()
        yield result


async def _cancellable(stream: AsyncGenerator[Any, None], token: CancellationToken) -> AsyncGenerator[Any, None]:
    """Pass on the items of a stream. It runs in one task of its own, one item ahead, and the token cancels that task."""
    queue: asyncio.Queue[Any] = asyncio.Queue()
    room = asyncio.Semaphore(1)
    end = object()

    async def run() -> None:
        async with aclosing(stream):
            async for item in stream:
                await room.acquire()
                queue.put_nowait(item)

    task = asyncio.ensure_future(run())
    task.add_done_callback(lambda _: queue.put_nowait(end))
    token.link_future(task)
    try:
        while (item := await queue.get()) is not end:
            room.release()
            yield item
        await task
    finally:
        if not task.cancelling():  # a second request would break into the tool's own clean-up
            task.cancel()
        await asyncio.wait([task])


def _streams(tool: Tool) -> TypeIs[StreamTool]:
    """Tell whether a tool streams. `isinstance` would evaluate its properties, schema and all, on each call."""
    return callable(getattr(type(tool), "run_json_stream", None))


def _may_be_result(item: object, return_type: Any) -> bool:
    return isinstance(item, return_type) if isinstance(return_type, type) and return_type is not Any else True


def _renamed(
    tools: Sequence[BaseTool[Any, Any]], overrides: Mapping[str, ToolOverride]
) -> dict[str, BaseTool[Any, Any]]:
    """Return the tools that have another name, by that name, after checking that no name is given twice."""
    own = {tool.name: tool for tool in tools}
    if len(own) < len(tools):
        names = [tool.name for tool in tools]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"Each tool of a workbench needs a name of its own, but {', '.join(twice)} is there twice.")
    renamed: dict[str, BaseTool[Any, Any]] = {}
    for name, override in overrides.items():
        if name not in own:
            known = ", ".join(sorted(own)) or "none"
            raise ValueError(f"Tool override for {name!r} has no tool of that name (tools: {known}).")
        if override.name is None or override.name == name:
            continue
        if override.name in own:
            raise ValueError(f"Tool override name {override.name!r} of {name!r} conflicts with existing tool name.")
        if override.name in renamed:
            other = renamed[override.name].name
            raise ValueError(f"Tool override name {override.name!r} is used by multiple tools: {other!r} and {name!r}.")
        renamed[override.name] = own[name]
    return renamed


def _presented(schema: ToolSchema, override: ToolOverride | None) -> ToolSchema:
    if override is None:
        return schema
    return cast("ToolSchema", {**schema, **override.model_dump(exclude_none=True)})


def _contents(tool: BaseTool[Any, Any] | StreamTool, value: Any) -> list[ResultContent]:
    """Return a tool's result in parts: images stay images, all else becomes text as the tool writes it."""
    if isinstance(value, TextResultContent | ImageResultContent):
        return [value]
    if isinstance(value, Image):
        return [ImageResultContent(content=value)]
    if isinstance(value, list):
        items = cast("list[Any]", value)
        if any(isinstance(item, TextResultContent | ImageResultContent | Image) for item in items):
            return [part for item in items for part in _contents(tool, item)]
    return [TextResultContent(content=tool.return_value_as_string(value))]


def _unknown(name: str) -> ToolResult:
    return ToolResult(name=name, result=[TextResultContent(content=f"Tool {name} not found.")], is_error=True)


def _failure(name: str, error: Exception) -> ToolResult:
    return ToolResult(name=name, result=[TextResultContent(content=_error_text(error))], is_error=True)


def _error_text(error: Exception) -> str:
    """Return what an error says, one line for each error of a group; its class if it says nothing."""
    if isinstance(error, ExceptionGroup):
        group = cast("ExceptionGroup[Exception]", error)
        return "\n".join(_error_text(item) for item in group.exceptions)
    return str(error) or type(error).__name__
