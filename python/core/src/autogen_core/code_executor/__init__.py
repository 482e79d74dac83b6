"""Code executors: the contract, and functions that travel to them with what they need."""

from ._base import CodeBlock, CodeExecutor, CodeResult
from ._functions import (
    Alias,
    FunctionWithRequirements,
    FunctionWithRequirementsStr,
    Import,
    ImportFromModule,
    function_stub,
    functions_module,
    required_packages,
    with_requirements,
)

__all__ = [
    "Alias",
    "CodeBlock",
    "CodeExecutor",
    "CodeResult",
    "FunctionWithRequirements",
    "FunctionWithRequirementsStr",
    "Import",
    "ImportFromModule",
    "function_stub",
    "functions_module",
    "required_packages",
    "with_requirements",
]
