"""Functions as tools: how they are called, cancelled, dumped and loaded."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import json
import logging
import threading
from collections.abc import Callable
from typing import Annotated, Any, Literal, Optional

import pytest
from pydantic import BaseModel, ValidationError

from autogen_core import EVENT_LOGGER_NAME, CancellationToken, ComponentLoader
from autogen_core.code_executor import Alias, ImportFromModule
from autogen_core.exceptions import ComponentError
from autogen_core.tools import FunctionTool


class Point(BaseModel):
    """A place."""

    x: int
    labels: list[str] = []


def properties(func: Callable[..., Any], **options: Any) -> dict[str, Any]:
    schema = FunctionTool(func, description="d", **options).schema
    assert "parameters" in schema
    return schema["parameters"]["properties"]


def everything(
    a: int,
    b: Annotated[str, "the second"] = "x",
    c: Optional[float] = None,  # noqa: UP045 - the old form is what is tested
    *,
    d: Literal["p", "q"] = "p",
) -> str:
    """Docstrings are not shown to the model."""
    return f"{a}{b}{c}{d}"


async def run(func: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    return await FunctionTool(func, description="d").run_json(arguments, CancellationToken())


async def test_arguments_are_checked_and_converted() -> None:
    seen: list[Any] = []

    def take(point: Point, points: dict[str, Point], number: int = 7) -> str:
        seen.extend([point, points, number])
        return "taken"

    assert await run(take, {"point": {"x": "1"}, "points": {"k": {"x": 2}}, "not declared": 1}) == "taken"
    assert seen == [Point(x=1), {"k": Point(x=2)}, 7]
    with pytest.raises(ValidationError, match="point"):
        await run(take, {"points": {}})


async def test_arguments_that_go_by_place_are_given_by_place() -> None:
    def placed(a: int, b: int = 5, /, c: int = 6) -> str:
        return f"{a}{b}{c}"

    assert await run(placed, {"a": 1, "c": 3}) == "153"


async def test_a_sync_function_runs_in_a_thread_with_the_callers_context() -> None:
    variable = contextvars.ContextVar[str]("variable")
    variable.set("from the caller")

    def where() -> tuple[int, str]:
        return threading.get_ident(), variable.get()

    thread, value = await run(where, {})
    assert thread != threading.get_ident()
    assert value == "from the caller"


async def test_a_sync_function_may_hand_out_a_coroutine() -> None:
    async def work() -> int:
        return 3

    assert await run(lambda: work(), {}) == 3  # noqa: PLW0108 - a sync function around an async one is what is tested


@pytest.mark.parametrize("error", [KeyError("k"), StopIteration(), RuntimeError("r")])
@pytest.mark.parametrize("as_async", [False, True])
async def test_what_a_function_raises_reaches_the_caller(error: Exception, as_async: bool) -> None:
    def fail() -> str:
        raise error

    async def fail_later() -> str:
        raise error

    expected = RuntimeError if isinstance(error, StopIteration) else type(error)
    with pytest.raises(expected):
        await asyncio.wait_for(run(fail_later if as_async else fail, {}), timeout=10)


async def test_the_token_is_handed_over_by_annotation_under_any_name() -> None:
    def asks(a: int, giving_up: CancellationToken, maybe: int = 1) -> bool:
        return giving_up.is_cancelled()

    def by_name(cancellation_token) -> bool:  # pyright: ignore  # noqa: PGH003 - an unannotated token is what is tested
        return isinstance(cancellation_token, CancellationToken)

    def optional(token: CancellationToken | None) -> bool:
        return token is not None

    assert properties(asks).keys() == {"a", "maybe"}
    assert await run(asks, {"a": 1}) is False
    assert await run(by_name, {}) is True  # pyright: ignore[reportUnknownArgumentType]
    assert await run(optional, {}) is True


async def test_cancelling_reaches_an_async_function_where_it_awaits() -> None:
    token = CancellationToken()
    started, ended = asyncio.Event(), asyncio.Event()

    async def work() -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    task = asyncio.ensure_future(FunctionTool(work, description="d").run_json({}, token))
    await started.wait()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_cancelling_gives_up_waiting_for_a_sync_function() -> None:
    token = CancellationToken()
    started, may_end = threading.Event(), threading.Event()

    def work() -> str:
        started.set()
        may_end.wait(10)
        return ""

    task = asyncio.ensure_future(FunctionTool(work, description="d").run_json({}, token))
    await asyncio.to_thread(started.wait)
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, timeout=5)
    may_end.set()


@pytest.mark.parametrize("as_async", [False, True])
async def test_a_cancelled_token_keeps_a_function_from_starting(as_async: bool) -> None:
    token = CancellationToken()
    token.cancel()
    called: list[int] = []

    def work() -> None:
        called.append(1)

    async def work_later() -> None:
        called.append(1)

    with pytest.raises(asyncio.CancelledError):
        await FunctionTool(work_later if as_async else work, description="d").run_json({}, token)
    assert called == []


async def test_a_call_is_recorded_if_somebody_listens(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger=EVENT_LOGGER_NAME):
        await run(everything, {"a": "1"})
    (record,) = caplog.records
    assert json.loads(record.getMessage()) == {
        "type": "ToolCall",
        "tool_name": "everything",
        "arguments": {"a": "1"},
        "result": "1xNonep",
        "agent_id": None,
    }


async def test_a_result_without_text_does_not_fail_the_call(caplog: pytest.LogCaptureFixture) -> None:
    class Mute:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    def mute() -> Any:
        return Mute()

    with caplog.at_level(logging.INFO, logger=EVENT_LOGGER_NAME):
        assert isinstance(await run(mute, {}), Mute)
    assert "Mute without text" in caplog.text


async def test_nothing_is_recorded_if_nobody_listens() -> None:
    class Costly(BaseModel):
        def model_dump(self, **options: Any) -> dict[str, Any]:
            raise AssertionError("written for nobody")

    def costly() -> Any:
        return Costly()

    assert isinstance(await run(costly, {}), Costly)


# --- components ------------------------------------------------------------------------------------------------------


def dumpable(a: int, b: Annotated[str, "the second"] = "x") -> str:
    return json.dumps([a, b])


IMPORTS: list[str | ImportFromModule | Alias] = [
    "json",
    Alias("math", "m"),
    ImportFromModule("typing", ["Annotated", Alias("Any", "Anything")]),
]


async def with_token(a: int, token: CancellationToken) -> bool:
    return token.is_cancelled()


def test_a_dump_holds_the_source_text_as_in_0_7_5() -> None:
    dumped = FunctionTool(dumpable, description="d", global_imports=IMPORTS).dump_component()
    assert json.loads(dumped.model_dump_json())["config"] == {
        "source_code": 'def dumpable(a: int, b: Annotated[str, "the second"] = "x") -> str:\n    return json.dumps([a, b])\n',
        "name": "dumpable",
        "description": "d",
        "global_imports": [
            "json",
            {"name": "math", "alias": "m"},
            {"module": "typing", "imports": ["Annotated", {"name": "Any", "alias": "Anything"}]},
        ],
        "has_cancellation_support": False,
    }
    assert dumped.provider == "autogen_core.tools.FunctionTool"
    assert FunctionTool(with_token, description="d").dump_component().config["has_cancellation_support"] is True


async def test_a_tool_round_trips_when_source_text_is_allowed() -> None:
    tool = FunctionTool(dumpable, description="d", name="other", global_imports=IMPORTS)
    written = tool.dump_component().model_dump_json()
    loaded = ComponentLoader.load_component(json.loads(written), FunctionTool, allow_source_code=True)
    assert loaded.schema == tool.schema
    assert await loaded.run_json({"a": 1}, CancellationToken()) == '[1, "x"]'
    assert loaded.dump_component().model_dump_json() == written


async def test_a_tool_that_takes_the_token_round_trips() -> None:
    dumped = FunctionTool(with_token, description="d", strict=True).dump_component()
    loaded = FunctionTool.load_component(dumped, allow_source_code=True)
    assert loaded.schema.get("strict") is True
    assert await loaded.run_json({"a": 1}, CancellationToken()) is False


def decorated(func: Callable[..., Any]) -> Callable[..., Any]:
    return func


@decorated
def plain(a: int) -> int:
    return a


def test_decorators_and_indentation_are_not_part_of_the_source_text() -> None:
    @decorated
    def inner(a: int) -> int:
        return a

    for func, name in ((plain, "plain"), (inner, "inner")):
        source = FunctionTool(func, description="d").dump_component().config["source_code"]
        assert source == f"def {name}(a: int) -> int:\n    return a\n"


class Adder:
    def __call__(self, a: int) -> int:
        return a

    def later(self, a: int) -> int:
        return a


LAMBDA: Callable[..., Any] = lambda: 1  # noqa: E731 - a lambda is what is tested


@pytest.mark.parametrize(
    ("func", "text"),
    [
        (LAMBDA, r"<lambda> \(.*test_function_tool\.py:\d+\) has no source text"),
        (functools.partial(everything, 1), "not a function defined with `def`"),
        (Adder(), "not a function defined with `def`"),
        (Adder().later, r"Adder\.later \(.*test_function_tool\.py:\d+\) is not a function"),
    ],
)
def test_what_has_no_source_text_of_its_own_is_refused_with_its_place(func: Callable[..., Any], text: str) -> None:
    tool = FunctionTool(func, description="d", name="bad")
    with pytest.raises(ComponentError, match=text):
        tool.dump_component()


def test_a_function_that_came_from_text_is_refused() -> None:
    namespace: dict[str, Any] = {}
    exec("def made(a: int) -> int:\n    return a", namespace)
    with pytest.raises(ComponentError, match=r"source text of made .* cannot be found"):
        FunctionTool(namespace["made"], description="d").dump_component()


def test_variables_that_a_dump_cannot_hold_are_warned_of() -> None:
    outside = 3

    def inner(a: int) -> int:
        return a + outside

    with pytest.warns(UserWarning, match="outside"):
        FunctionTool(inner, description="d").dump_component()


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("def f(a: int) -> int", "Could not compile function"),
        ("x = 1", "exactly one function"),
        ("def f(): ...\ndef g(): ...", "exactly one function"),
        ("def f(a: Nowhere) -> int: ...", "Nowhere.*global_imports"),
        ("raise SystemExit", "exactly one function"),
    ],
)
def test_source_text_that_is_no_function_is_a_component_error(source: str, text: str) -> None:
    config = FunctionTool(dumpable, description="d", global_imports=IMPORTS).dump_component()
    config.config["source_code"] = source
    with pytest.raises(ComponentError, match=text):
        FunctionTool.load_component(config, allow_source_code=True)
