"""Workbenches: tools by name, results in parts, errors as results, and cancelling that gets through."""

import asyncio
import json
from typing import Any

import pytest
from PIL import Image as PILImage
from pydantic import BaseModel, ValidationError

from autogen_core import CancellationToken, ComponentLoader, Image
from autogen_core.tools import (
    BaseTool,
    BaseToolWithState,
    FunctionTool,
    ImageResultContent,
    StaticStreamWorkbench,
    StaticWorkbench,
    TextResultContent,
    ToolOverride,
    ToolResult,
    Workbench,
)

RED_DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"


class Args(BaseModel):
    number: int = 0


class Answer(BaseModel):
    text: str


def double(number: int) -> int:
    return 2 * number


def fail() -> str:
    raise KeyError("k")


def red_dot() -> Image:
    return Image(PILImage.new("RGB", (1, 1), "red"))


def tool(func: Any, name: str | None = None) -> FunctionTool:
    return FunctionTool(func, description="d", name=name)


async def parts(value: Any) -> list[Any]:
    """Return the parts that a workbench makes of what a tool returns."""

    def give() -> Any:
        return value

    result = await StaticWorkbench([tool(give)]).call_tool("give")
    assert not result.is_error
    return result.result


def text_of(result: ToolResult) -> str:
    (part,) = result.result
    assert isinstance(part, TextResultContent)
    return part.content


# --- calls -----------------------------------------------------------------------------------------------------------


async def test_a_tool_is_called_by_name() -> None:
    result = await StaticWorkbench([tool(double), tool(fail)]).call_tool("double", {"number": 4})
    assert result == ToolResult(name="double", result=[TextResultContent(content="8")], is_error=False)


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("nothing", {}, "Tool nothing not found."),
        ("fail", None, "'k'"),
        ("double", {"number": "x"}, "1 validation error"),
        ("double", None, "Field required"),
    ],
)
async def test_what_fails_is_a_result(name: str, arguments: dict[str, Any] | None, text: str) -> None:
    result = await StaticWorkbench([tool(double), tool(fail)]).call_tool(name, arguments)
    assert result.is_error
    assert text in text_of(result)


async def test_an_error_without_text_is_named_and_each_of_a_group_has_a_line() -> None:
    def silent() -> str:
        raise ValueError

    def several() -> str:
        raise ExceptionGroup("both", [ValueError("one"), ExceptionGroup("in", [KeyError()])])

    workbench = StaticWorkbench([tool(silent), tool(several)])
    assert text_of(await workbench.call_tool("silent")) == "ValueError"
    assert text_of(await workbench.call_tool("several")) == "one\nKeyError"


class Deaf(BaseTool[Args, Answer]):
    """A tool that does not look at its token."""

    def __init__(self) -> None:
        super().__init__(Args, Answer, "deaf", "d")
        self.started = asyncio.Event()
        self.ended = False

    async def run(self, args: Args, cancellation_token: CancellationToken) -> Answer:
        self.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True
        return Answer(text="")


async def test_cancelling_reaches_a_tool_that_does_not_look_and_is_raised() -> None:
    deaf, token = Deaf(), CancellationToken()
    task = asyncio.ensure_future(StaticWorkbench([deaf]).call_tool("deaf", {}, token))
    await deaf.started.wait()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert deaf.ended


async def test_a_cancelled_token_keeps_a_tool_from_starting() -> None:
    deaf, token = Deaf(), CancellationToken()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await StaticWorkbench([deaf]).call_tool("deaf", {}, token)
    assert not deaf.started.is_set()


# --- results ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "a"), (None, "None"), (["a", "b"], "['a', 'b']"), (Answer(text="x"), '{"text": "x"}'), ([], "[]")],
)
async def test_a_value_becomes_text_as_the_tool_writes_it(value: Any, text: str) -> None:
    assert await parts(value) == [TextResultContent(content=text)]


async def test_an_image_stays_an_image() -> None:
    (part,) = await parts(red_dot())
    assert isinstance(part, ImageResultContent)
    assert part.content.to_base64() == RED_DOT


async def test_a_list_with_images_becomes_parts() -> None:
    found = await parts(["a", red_dot(), Answer(text="x"), TextResultContent(content="b")])
    assert [type(part).__name__ for part in found] == [
        "TextResultContent",
        "ImageResultContent",
        "TextResultContent",
        "TextResultContent",
    ]
    assert [part.content for part in found if isinstance(part, TextResultContent)] == ["a", '{"text": "x"}', "b"]


async def test_parts_that_a_tool_makes_itself_are_taken_as_they_are() -> None:
    part = TextResultContent(content="a")
    assert await parts(part) == [part]


def test_a_result_as_text_has_a_line_for_each_part() -> None:
    result = ToolResult(
        name="n", result=[TextResultContent(content="a"), ImageResultContent(content=red_dot())], is_error=False
    )
    assert result.to_text() == f"a\n[Image: {RED_DOT}]"
    assert result.to_text("(image)") == "a\n(image)"


def test_a_result_round_trips_through_json_as_in_0_7_5() -> None:
    result = ToolResult(name="n", result=[TextResultContent(content="a"), ImageResultContent(content=red_dot())])
    written = result.model_dump_json()
    assert json.loads(written) == {
        "type": "ToolResult",
        "name": "n",
        "result": [
            {"type": "TextResultContent", "content": "a"},
            {"type": "ImageResultContent", "content": {"data": RED_DOT}},
        ],
        "is_error": False,
    }
    assert ToolResult.model_validate_json(written).to_text() == result.to_text()


# --- the list of tools, and overrides --------------------------------------------------------------------------------


async def test_the_tools_are_listed_and_a_changed_copy_changes_nothing_else() -> None:
    workbench = StaticWorkbench([tool(double), tool(fail)])
    listed = await workbench.list_tools()
    assert listed == [tool(double).schema, tool(fail).schema]
    listed[0]["name"] = "other"
    assert "parameters" in listed[0]
    listed[0]["parameters"]["properties"].clear()
    assert await workbench.list_tools() == [tool(double).schema, tool(fail).schema]


async def test_a_schema_is_made_once() -> None:
    class Counted(Deaf):
        made = 0

        @property
        def schema(self) -> Any:
            self.made += 1
            return super().schema

    counted = Counted()
    workbench = StaticWorkbench([counted])
    await workbench.list_tools()
    await workbench.list_tools()
    assert counted.made == 1


async def test_an_override_renames_and_describes_a_tool() -> None:
    workbench = StaticWorkbench(
        [tool(double), tool(fail)],
        {"double": ToolOverride(name="twice", description="Two of it."), "fail": ToolOverride(description="Fails.")},
    )
    listed = await workbench.list_tools()
    assert [(item["name"], item.get("description")) for item in listed] == [("twice", "Two of it."), ("fail", "Fails.")]
    assert await workbench.call_tool("twice", {"number": 4}) == ToolResult(
        name="twice", result=[TextResultContent(content="8")]
    )
    assert text_of(await workbench.call_tool("double", {"number": 4})) == "8"


async def test_an_override_with_the_tools_own_name_is_fine() -> None:
    workbench = StaticWorkbench([tool(double)], {"double": ToolOverride(name="double")})
    assert text_of(await workbench.call_tool("double", {"number": 4})) == "8"


@pytest.mark.parametrize(
    ("names", "overrides", "text"),
    [
        (["a", "b"], {"a": "b"}, "conflicts with existing tool name"),
        (["a", "b"], {"a": "b", "b": "a"}, "conflicts with existing tool name"),
        (["a", "b"], {"a": "c", "b": "c"}, "used by multiple tools: 'a' and 'b'"),
        (["a"], {"z": "c"}, r"'z' has no tool of that name \(tools: a\)"),
        (["a", "a"], {}, "a is there twice"),
    ],
)
def test_names_that_clash_or_lead_nowhere_are_refused(names: list[str], overrides: dict[str, str], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        StaticWorkbench(
            [tool(double, name) for name in names], {name: ToolOverride(name=new) for name, new in overrides.items()}
        )


# --- life, state, components -----------------------------------------------------------------------------------------


class Total(BaseModel):
    total: int = 0


class Adder(BaseToolWithState[Args, Answer, Total]):
    def __init__(self, name: str = "adder") -> None:
        super().__init__(Args, Answer, Total, name, "Adds.")
        self.total = 0

    async def run(self, args: Args, cancellation_token: CancellationToken) -> Answer:
        self.total += args.number
        return Answer(text=str(self.total))

    def save_state(self) -> Total:
        return Total(total=self.total)

    def load_state(self, state: Total) -> None:
        self.total = state.total


async def test_the_state_holds_each_tools_own_as_in_0_7_5() -> None:
    workbench = StaticWorkbench([Adder(), tool(double)])
    await workbench.call_tool("adder", {"number": 4})
    state = await workbench.save_state()
    assert state == {"type": "StaticWorkbenchState", "tools": {"adder": {"total": 4}, "double": {}}}
    adder, newer = Adder(), Adder("newer")
    newer.total = 7
    await StaticWorkbench([adder, newer]).load_state(state)
    assert (adder.total, newer.total) == (4, 7)


async def test_what_is_no_state_is_refused() -> None:
    with pytest.raises(ValidationError):
        await StaticWorkbench([]).load_state({"type": "Something"})


async def test_a_workbench_is_started_and_stopped_around_a_block() -> None:
    class Noted(StaticWorkbench):
        def __init__(self) -> None:
            super().__init__([tool(double)])
            self.notes: list[str] = []

        async def start(self) -> None:
            await super().start()
            self.notes.append("start")

        async def stop(self) -> None:
            await super().stop()
            self.notes.append("stop")

    async with Noted() as workbench:
        await workbench.reset()
        assert workbench.notes == ["start"]
    assert workbench.notes == ["start", "stop"]


@pytest.mark.parametrize("kind", [StaticWorkbench, StaticStreamWorkbench])
async def test_a_workbench_round_trips_with_its_tools_and_overrides(kind: type[StaticWorkbench]) -> None:
    workbench = kind([tool(double)], {"double": ToolOverride(name="twice")})
    dumped = workbench.dump_component()
    assert dumped.provider == f"autogen_core.tools.{kind.__name__}"
    assert dumped.config["tool_overrides"] == {"double": {"name": "twice"}}
    loaded = ComponentLoader.load_component(json.loads(dumped.model_dump_json()), Workbench, allow_source_code=True)
    assert type(loaded) is kind
    assert text_of(await loaded.call_tool("twice", {"number": 4})) == "8"
