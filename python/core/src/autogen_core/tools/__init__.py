"""Tools: what a model can ask for, how it is described, and workbenches that hold several."""

from ._function_tool import FunctionTool
from ._schema import ParametersSchema, ToolSchema
from ._static_workbench import StaticStreamWorkbench, StaticWorkbench
from ._tool import BaseStreamTool, BaseTool, BaseToolWithState, StreamTool, Tool
from ._workbench import ImageResultContent, StreamWorkbench, TextResultContent, ToolOverride, ToolResult, Workbench

__all__ = [
    "BaseStreamTool",
    "BaseTool",
    "BaseToolWithState",
    "FunctionTool",
    "ImageResultContent",
    "ParametersSchema",
    "StaticStreamWorkbench",
    "StaticWorkbench",
    "StreamTool",
    "StreamWorkbench",
    "TextResultContent",
    "Tool",
    "ToolOverride",
    "ToolResult",
    "ToolSchema",
    "Workbench",
]
