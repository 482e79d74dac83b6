"""What is known about models that speak OpenAI's protocol, as data. Stands on the model contract; must not know the SDK.

A name that is not in the table is no error: the model then counts as able to call tools and nothing more.
"""

import re
import warnings
from dataclasses import dataclass
from typing import Literal

from autogen_core.models import ModelFamily, ModelInfo

UNKNOWN_CONTEXT = 8192
"""Tokens that the context of an unknown model is taken to hold."""

_Ability = Literal["vision", "tools", "json", "schema", "systems"]


@dataclass(frozen=True, slots=True)
class KnownModel:
    """One line of the table."""

    family: str
    context: int
    """Tokens of prompt and answer together."""
    abilities: frozenset[str]

    @property
    def info(self) -> ModelInfo:
        """The abilities in the form of the contract."""
        return ModelInfo(
            vision="vision" in self.abilities,
            function_calling="tools" in self.abilities,
            json_output="json" in self.abilities,
            family=self.family,
            structured_output="schema" in self.abilities,
            multiple_system_messages="systems" in self.abilities,
        )


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where models of one maker are served in OpenAI's protocol, and the environment variable of the key."""

    base_url: str | None
    key_variable: str


def _known(family: str, context: int, *abilities: _Ability) -> KnownModel:
    return KnownModel(family, context, frozenset(abilities))


_FULL = ("vision", "tools", "json", "schema", "systems")
_TEXT = ("tools", "json", "systems")
_GEMINI = ("vision", "tools", "json", "schema")
_CLAUDE = ("vision", "tools", "systems")

MODELS: dict[str, KnownModel] = {
    "gpt-5.2-2025-12-11": _known(ModelFamily.GPT_5, 400_000, *_FULL),
    "gpt-5.1-2025-11-13": _known(ModelFamily.GPT_5, 400_000, *_FULL),
    "gpt-5-2025-08-07": _known(ModelFamily.GPT_5, 400_000, *_FULL),
    "gpt-5-mini-2025-08-07": _known(ModelFamily.GPT_5, 400_000, *_FULL),
    "gpt-5-nano-2025-08-07": _known(ModelFamily.GPT_5, 400_000, *_FULL),
    "gpt-5-chat-latest": _known(ModelFamily.GPT_5, 128_000, *_FULL),
    "gpt-4.1-2025-04-14": _known(ModelFamily.GPT_41, 1_047_576, *_FULL),
    "gpt-4.1-mini-2025-04-14": _known(ModelFamily.GPT_41, 1_047_576, *_FULL),
    "gpt-4.1-nano-2025-04-14": _known(ModelFamily.GPT_41, 1_047_576, *_FULL),
    "gpt-4.5-preview-2025-02-27": _known(ModelFamily.GPT_45, 128_000, *_FULL),
    "gpt-4o-2024-11-20": _known(ModelFamily.GPT_4O, 128_000, *_FULL),
    "gpt-4o-2024-08-06": _known(ModelFamily.GPT_4O, 128_000, *_FULL),
    "gpt-4o-2024-05-13": _known(ModelFamily.GPT_4O, 128_000, "vision", *_TEXT),
    "gpt-4o-mini-2024-07-18": _known(ModelFamily.GPT_4O, 128_000, *_FULL),
    "chatgpt-4o-latest": _known(ModelFamily.GPT_4O, 128_000, "vision", "json", "systems"),
    "o4-mini-2025-04-16": _known(ModelFamily.O4, 200_000, *_FULL),
    "o3-2025-04-16": _known(ModelFamily.O3, 200_000, *_FULL),
    "o3-mini-2025-01-31": _known(ModelFamily.O3, 200_000, "schema", *_TEXT),
    "o1-2024-12-17": _known(ModelFamily.O1, 200_000, "tools", "schema", "systems"),
    "o1-preview-2024-09-12": _known(ModelFamily.O1, 128_000, "tools", "schema", "systems"),
    "o1-mini-2024-09-12": _known(ModelFamily.O1, 128_000, "systems"),
    "gpt-4-turbo-2024-04-09": _known(ModelFamily.GPT_4, 128_000, "vision", *_TEXT),
    "gpt-4-0125-preview": _known(ModelFamily.GPT_4, 128_000, *_TEXT),
    "gpt-4-1106-preview": _known(ModelFamily.GPT_4, 128_000, *_TEXT),
    "gpt-4-1106-vision-preview": _known(ModelFamily.GPT_4, 128_000, "vision", "systems"),
    "gpt-4-0613": _known(ModelFamily.GPT_4, 8_192, *_TEXT),
    "gpt-4-32k-0613": _known(ModelFamily.GPT_4, 32_768, *_TEXT),
    "gpt-3.5-turbo-0125": _known(ModelFamily.GPT_35, 16_385, *_TEXT),
    "gpt-3.5-turbo-1106": _known(ModelFamily.GPT_35, 16_385, *_TEXT),
    "gpt-3.5-turbo-instruct": _known(ModelFamily.GPT_35, 4_096, *_TEXT),
    "gpt-3.5-turbo-0613": _known(ModelFamily.GPT_35, 4_096, *_TEXT),
    "gpt-3.5-turbo-16k-0613": _known(ModelFamily.GPT_35, 16_385, *_TEXT),
    "gemini-1.5-flash": _known(ModelFamily.GEMINI_1_5_FLASH, 1_048_576, *_GEMINI),
    "gemini-1.5-flash-8b": _known(ModelFamily.GEMINI_1_5_FLASH, 1_048_576, *_GEMINI),
    "gemini-1.5-pro": _known(ModelFamily.GEMINI_1_5_PRO, 2_097_152, *_GEMINI),
    "gemini-2.0-flash": _known(ModelFamily.GEMINI_2_0_FLASH, 1_048_576, *_GEMINI),
    "gemini-2.0-flash-lite": _known(ModelFamily.GEMINI_2_0_FLASH, 1_048_576, *_GEMINI),
    "gemini-2.0-flash-lite-preview-02-05": _known(ModelFamily.GEMINI_2_0_FLASH, 1_048_576, *_GEMINI),
    "gemini-2.5-pro": _known(ModelFamily.GEMINI_2_5_PRO, 1_048_576, *_GEMINI),
    "gemini-2.5-pro-preview-03-25": _known(ModelFamily.GEMINI_2_5_PRO, 2_097_152, *_GEMINI),
    "gemini-2.5-flash": _known(ModelFamily.GEMINI_2_5_FLASH, 1_048_576, *_GEMINI),
    "gemini-2.5-flash-lite": _known(ModelFamily.GEMINI_2_5_FLASH, 1_048_576, *_GEMINI),
    "claude-3-haiku-20240307": _known(ModelFamily.CLAUDE_3_HAIKU, 50_000, *_CLAUDE),
    "claude-3-sonnet-20240229": _known(ModelFamily.CLAUDE_3_SONNET, 200_000, *_CLAUDE),
    "claude-3-opus-20240229": _known(ModelFamily.CLAUDE_3_OPUS, 200_000, *_CLAUDE),
    "claude-3-5-haiku-20241022": _known(ModelFamily.CLAUDE_3_5_HAIKU, 200_000, *_CLAUDE),
    "claude-3-5-sonnet-20241022": _known(ModelFamily.CLAUDE_3_5_SONNET, 200_000, *_CLAUDE),
    "claude-3-7-sonnet-20250219": _known(ModelFamily.CLAUDE_3_7_SONNET, 200_000, *_CLAUDE),
    "claude-sonnet-4-20250514": _known(ModelFamily.CLAUDE_4_SONNET, 200_000, *_CLAUDE),
    "claude-opus-4-20250514": _known(ModelFamily.CLAUDE_4_OPUS, 200_000, *_CLAUDE),
    "claude-opus-4-1-20250805": _known(ModelFamily.CLAUDE_4_OPUS, 200_000, *_CLAUDE),
    "Llama-3.3-8B-Instruct": _known(ModelFamily.LLAMA_3_3_8B, 128_000, *_TEXT),
    "Llama-3.3-70B-Instruct": _known(ModelFamily.LLAMA_3_3_70B, 128_000, *_TEXT),
    "Llama-4-Scout-17B-16E-Instruct-FP8": _known(ModelFamily.LLAMA_4_SCOUT, 128_000, *_FULL),
    "Llama-4-Maverick-17B-128E-Instruct-FP8": _known(ModelFamily.LLAMA_4_MAVERICK, 128_000, *_FULL),
}
"""Models by their full names."""

ALIASES: dict[str, str] = {
    "gpt-5.2": "gpt-5.2-2025-12-11",
    "gpt-5.1": "gpt-5.1-2025-11-13",
    "gpt-5": "gpt-5-2025-08-07",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
    "gpt-5-nano": "gpt-5-nano-2025-08-07",
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
    "gpt-4.1-nano": "gpt-4.1-nano-2025-04-14",
    "gpt-4.5-preview": "gpt-4.5-preview-2025-02-27",
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "o4-mini": "o4-mini-2025-04-16",
    "o3": "o3-2025-04-16",
    "o3-mini": "o3-mini-2025-01-31",
    "o1": "o1-2024-12-17",
    "o1-preview": "o1-preview-2024-09-12",
    "o1-mini": "o1-mini-2024-09-12",
    "gpt-4-turbo": "gpt-4-turbo-2024-04-09",
    "gpt-4-turbo-preview": "gpt-4-0125-preview",
    "gpt-4": "gpt-4-0613",
    "gpt-4-32k": "gpt-4-32k-0613",
    "gpt-3.5-turbo": "gpt-3.5-turbo-0125",
    "gpt-3.5-turbo-16k": "gpt-3.5-turbo-16k-0613",
    "claude-3-haiku": "claude-3-haiku-20240307",
    "claude-3-sonnet": "claude-3-sonnet-20240229",
    "claude-3-opus": "claude-3-opus-20240229",
    "claude-3-5-haiku": "claude-3-5-haiku-20241022",
    "claude-3-5-sonnet": "claude-3-5-sonnet-20241022",
    "claude-3-7-sonnet": "claude-3-7-sonnet-20250219",
    "claude-4-sonnet": "claude-sonnet-4-20250514",
    "claude-4-opus": "claude-opus-4-20250514",
    "claude-sonnet-4-0": "claude-sonnet-4-20250514",
    "claude-opus-4-0": "claude-opus-4-20250514",
    "claude-opus-4-1": "claude-opus-4-1-20250805",
    "llama-3.3-8b": "Llama-3.3-8B-Instruct",
    "llama-3.3-70b": "Llama-3.3-70B-Instruct",
    "llama-4-scout": "Llama-4-Scout-17B-16E-Instruct-FP8",
    "llama-4-maverick": "Llama-4-Maverick-17B-128E-Instruct-FP8",
}
"""Short names, and the models that they stand for."""

OPENAI = Endpoint(None, "OPENAI_API_KEY")
"""Where everything goes that has no endpoint of its own: to the SDK's default."""

ENDPOINTS: dict[str, Endpoint] = {
    "gemini-": Endpoint("https://generativelanguage.googleapis.com/v1beta/openai/", "GEMINI_API_KEY"),
    "claude-": Endpoint("https://api.anthropic.com/v1/", "ANTHROPIC_API_KEY"),
    "Llama-": Endpoint("https://api.llama.com/compat/v1/", "LLAMA_API_KEY"),
}
"""Beginnings of names whose makers serve them in OpenAI's protocol themselves."""

_SNAPSHOT = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8}|latest)$")
_warned_of: set[str] = set()


def resolve(model: str) -> str:
    """Return the full name of a model: that of an alias, or of a snapshot that is newer than this table.

    The name of a router's or hub's model (`openai/gpt-4o`, `models/gemini-2.0-flash`) and of a fine-tuned one
    (`ft:gpt-4o-mini:...`) is that of the model behind it. A name that is not known is returned as it is.
    """
    name = model.removeprefix("ft:").split(":", 1)[0] if model.startswith("ft:") else model
    name = name.rsplit("/", 1)[-1]
    for candidate in (name, _SNAPSHOT.sub("", name)):
        full = ALIASES.get(candidate, candidate)
        if full in MODELS:
            return full
    return model


def endpoint_of(model: str) -> Endpoint:
    """Return where a model is served if no other server is named."""
    return next((endpoint for prefix, endpoint in ENDPOINTS.items() if model.startswith(prefix)), OPENAI)


def info_of(model: str) -> ModelInfo:
    """Return what a model can do. Of a name that is not known this warns once: it may be able to do more than that."""
    known = MODELS.get(resolve(model))
    if known is not None:
        return known.info
    if model not in _warned_of:
        _warned_of.add(model)
        warnings.warn(
            f"Model {model!r} is not known: it is taken to call tools, but not to see images or write JSON on demand. "
            "Say what it can do by model_info={'vision': ..., 'function_calling': ..., 'json_output': ..., "
            "'structured_output': ..., 'family': ModelFamily.UNKNOWN}.",
            stacklevel=6,  # where a client is made
        )
    return _known(ModelFamily.UNKNOWN, UNKNOWN_CONTEXT, "tools", "systems").info


def context_of(model: str) -> int:
    """Return how many tokens a model's context holds; for an unknown one, `UNKNOWN_CONTEXT`."""
    known = MODELS.get(resolve(model))
    return known.context if known is not None else UNKNOWN_CONTEXT
