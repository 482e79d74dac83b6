"""What a model can do, and which family it belongs to: tables, not code. Stands on nothing; knows no provider."""

import warnings
from typing import Literal, NoReturn, Required, TypeAlias

from typing_extensions import TypedDict, deprecated


class ModelFamily:
    """Names of model families: groups of models that want to be spoken to in the same way.

    Any other text may stand for a family, too; it is treated like `UNKNOWN`. Not to be instantiated.
    """

    GPT_5 = "gpt-5"
    GPT_41 = "gpt-41"
    GPT_45 = "gpt-45"
    GPT_4O = "gpt-4o"
    O1 = "o1"
    O3 = "o3"
    O4 = "o4"
    GPT_4 = "gpt-4"
    GPT_35 = "gpt-35"
    R1 = "r1"
    GEMINI_1_5_FLASH = "gemini-1.5-flash"
    GEMINI_1_5_PRO = "gemini-1.5-pro"
    GEMINI_2_0_FLASH = "gemini-2.0-flash"
    GEMINI_2_5_PRO = "gemini-2.5-pro"
    GEMINI_2_5_FLASH = "gemini-2.5-flash"
    CLAUDE_3_HAIKU = "claude-3-haiku"
    CLAUDE_3_SONNET = "claude-3-sonnet"
    CLAUDE_3_OPUS = "claude-3-opus"
    CLAUDE_3_5_HAIKU = "claude-3-5-haiku"
    CLAUDE_3_5_SONNET = "claude-3-5-sonnet"
    CLAUDE_3_7_SONNET = "claude-3-7-sonnet"
    CLAUDE_4_OPUS = "claude-4-opus"
    CLAUDE_4_SONNET = "claude-4-sonnet"
    LLAMA_3_3_8B = "llama-3.3-8b"
    LLAMA_3_3_70B = "llama-3.3-70b"
    LLAMA_4_SCOUT = "llama-4-scout"
    LLAMA_4_MAVERICK = "llama-4-maverick"
    CODESRAL = "codestral"
    OPEN_CODESRAL_MAMBA = "open-codestral-mamba"
    MISTRAL = "mistral"
    MINISTRAL = "ministral"
    PIXTRAL = "pixtral"
    UNKNOWN = "unknown"

    ANY: TypeAlias = Literal[
        "gpt-5",
        "gpt-41",
        "gpt-45",
        "gpt-4o",
        "o1",
        "o3",
        "o4",
        "gpt-4",
        "gpt-35",
        "r1",
        "gemini-1.5-flash",
        "gemini-1.5-pro",
        "gemini-2.0-flash",
        "gemini-2.5-pro",
        "gemini-2.5-flash",
        "claude-3-haiku",
        "claude-3-sonnet",
        "claude-3-opus",
        "claude-3-5-haiku",
        "claude-3-5-sonnet",
        "claude-3-7-sonnet",
        "claude-4-opus",
        "claude-4-sonnet",
        "llama-3.3-8b",
        "llama-3.3-70b",
        "llama-4-scout",
        "llama-4-maverick",
        "codestral",
        "open-codestral-mamba",
        "mistral",
        "ministral",
        "pixtral",
        "unknown",
    ]

    def __new__(cls) -> NoReturn:
        raise TypeError("ModelFamily only holds names; it is not instantiated.")

    @staticmethod
    def is_claude(family: str) -> bool:
        """Tell whether the family is one of Anthropic's Claude."""
        return family in _FAMILIES["claude"]

    @staticmethod
    def is_gemini(family: str) -> bool:
        """Tell whether the family is one of Google's Gemini."""
        return family in _FAMILIES["gemini"]

    @staticmethod
    def is_openai(family: str) -> bool:
        """Tell whether the family is one of OpenAI's."""
        return family in _FAMILIES["openai"]

    @staticmethod
    def is_llama(family: str) -> bool:
        """Tell whether the family is one of Meta's Llama."""
        return family in _FAMILIES["llama"]

    @staticmethod
    def is_mistral(family: str) -> bool:
        """Tell whether the family is one of Mistral's."""
        return family in _FAMILIES["mistral"]


_FAMILIES: dict[str, frozenset[str]] = {
    maker: frozenset(families.split())
    for maker, families in {
        "openai": "gpt-5 gpt-41 gpt-45 gpt-4o o1 o3 o4 gpt-4 gpt-35",
        "gemini": "gemini-1.5-flash gemini-1.5-pro gemini-2.0-flash gemini-2.5-pro gemini-2.5-flash",
        "claude": "claude-3-haiku claude-3-sonnet claude-3-opus claude-3-5-haiku claude-3-5-sonnet claude-3-7-sonnet "
        "claude-4-opus claude-4-sonnet",
        "llama": "llama-3.3-8b llama-3.3-70b llama-4-scout llama-4-maverick",
        "mistral": "codestral open-codestral-mamba mistral ministral pixtral",
    }.items()
}


@deprecated("Use the ModelInfo class instead, ModelCapabilities are deprecated.")
class ModelCapabilities(TypedDict):
    """What a model could do, before there was `ModelInfo`."""

    vision: bool
    function_calling: bool
    json_output: bool


class ModelInfo(TypedDict, total=False):
    """What a client must know about its model."""

    vision: Required[bool]
    """Takes images."""
    function_calling: Required[bool]
    """Calls tools."""
    json_output: Required[bool]
    """Can be asked to write JSON. Not the same as structured output, which follows a schema."""
    family: Required[ModelFamily.ANY | str]
    """The family, from the constants of `ModelFamily`, or any text."""
    structured_output: Required[bool]
    """Writes JSON that follows a schema."""
    multiple_system_messages: bool | None
    """Takes several system messages that do not follow each other."""


_ENFORCED = ("vision", "function_calling", "json_output", "family")


def validate_model_info(model_info: ModelInfo) -> None:
    """Check that a model is described well enough.

    Without `structured_output` there is only a warning, and the model counts as not capable of it.

    Raises:
        ValueError: A required entry is missing. The text names it.
    """
    for name in _ENFORCED:
        if name not in model_info:
            raise ValueError(f"Missing required field {name!r} in ModelInfo: it needs {', '.join(_ENFORCED)}.")
    if "structured_output" not in model_info:
        warnings.warn(
            "Missing required field 'structured_output' in ModelInfo: say whether the model can follow a JSON schema.",
            stacklevel=2,
        )
