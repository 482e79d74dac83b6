"""The contract of a workbench: tools that share state and a life. Stands on components and images; knows no tools."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from types import TracebackType
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field

from autogen_core._cancellation import CancellationToken
from autogen_core._component import ComponentBase
from autogen_core._image import Image

from ._schema import ToolSchema


class TextResultContent(BaseModel):
    """Text that a tool returned."""

    type: Literal["TextResultContent"] = "TextResultContent"
    content: str


class ImageResultContent(BaseModel):
    """An image that a tool returned."""

    type: Literal["ImageResultContent"] = "ImageResultContent"
    content: Image


ResultContent = Annotated[TextResultContent | ImageResultContent, Field(discriminator="type")]


class ToolResult(BaseModel):
    """What came of calling a tool in a workbench."""

    type: Literal["ToolResult"] = "ToolResult"
    name: str
    """The tool, by the name it was called."""
    result: list[ResultContent]
    is_error: bool = False
    """Whether the tool failed; then the result says how."""

    def to_text(self, replace_image: str | None = None) -> str:
        """Return the result as text, one line for each part.

        Args:
            replace_image: What to write in place of an image; `None` writes it in base64.
        """
        return "\n".join(_as_text(part, replace_image) for part in self.result)


def _as_text(part: TextResultContent | ImageResultContent, replace_image: str | None) -> str:
    if isinstance(part, TextResultContent):
        return part.content
    return f"[Image: {part.content.to_base64()}]" if replace_image is None else replace_image


class ToolOverride(BaseModel):
    """How a workbench presents a tool differently. What is `None` stays as the tool has it."""

    name: str | None = None
    description: str | None = None


class Workbench(ABC, ComponentBase[BaseModel]):
    """Tools that share state and resources, and whose number may change. Use it in `async with`."""

    component_type = "workbench"

    @abstractmethod
    async def list_tools(self) -> list[ToolSchema]:
        """Return the tools there are now. Changing the returned value changes nothing else."""
        ...

    @abstractmethod
    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> ToolResult:
        """Call a tool. What fails in it is a result with `is_error`, not an exception.

        Args:
            name: The tool.
            arguments: Its arguments as decoded JSON; `None` for none.
            cancellation_token: Gives up the work; then `asyncio.CancelledError` is raised.
            call_id: The id of the model's call, for logs and traces.
        """
        ...

    @abstractmethod
    async def start(self) -> None:
        """Get ready: make what the tools share."""
        ...

    @abstractmethod
    async def stop(self) -> None:
        """Give back what `start` made."""
        ...

    @abstractmethod
    async def reset(self) -> None:
        """Go back to how things were after the start."""
        ...

    @abstractmethod
    async def save_state(self) -> Mapping[str, Any]:
        """Return what `load_state` needs to carry on in another process."""
        ...

    @abstractmethod
    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over a state that was saved."""
        ...

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.stop()


class StreamWorkbench(Workbench, ABC):
    """A workbench whose tools can tell what they are doing."""

    @abstractmethod
    def call_tool_stream(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> AsyncGenerator[Any | ToolResult, None]:
        """Call a tool, yielding what it tells, and the result as the last item. The arguments are those of `call_tool`."""
        ...
