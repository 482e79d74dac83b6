"""What is known about models that Azure AI and GitHub serve, as data. Stands on the model contract; not on the SDK.

A name that is not in the table is no error: the model then counts as able to call tools and nothing more.
"""

import warnings
from dataclasses import dataclass
from typing import Literal

from autogen_core.models import ModelFamily, ModelInfo

UNKNOWN_CONTEXT = 8192
"""Tokens that the context of an unknown model is taken to hold."""

_Ability = Literal["vision", "tools", "json", "schema"]


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
        )


def _known(family: str, context: int, *abilities: _Ability) -> KnownModel:
    return KnownModel(family, context, frozenset(abilities))


_FULL = ("vision", "tools", "json", "schema")
_TEXT = ("tools", "json")

MODELS: dict[str, KnownModel] = {
    "gpt-5": _known(ModelFamily.GPT_5, 400_000, *_FULL),
    "gpt-5-mini": _known(ModelFamily.GPT_5, 400_000, *_FULL),
    "gpt-5-nano": _known(ModelFamily.GPT_5, 400_000, *_FULL),
    "gpt-5-chat": _known(ModelFamily.GPT_5, 128_000, *_FULL),
    "gpt-4.1": _known(ModelFamily.GPT_41, 1_047_576, *_FULL),
    "gpt-4.1-mini": _known(ModelFamily.GPT_41, 1_047_576, *_FULL),
    "gpt-4.1-nano": _known(ModelFamily.GPT_41, 1_047_576, *_FULL),
    "gpt-4o": _known(ModelFamily.GPT_4O, 128_000, *_FULL),
    "gpt-4o-mini": _known(ModelFamily.GPT_4O, 128_000, *_FULL),
    "o4-mini": _known(ModelFamily.O4, 200_000, *_FULL),
    "o3": _known(ModelFamily.O3, 200_000, *_FULL),
    "o3-mini": _known(ModelFamily.O3, 200_000, "tools", "json", "schema"),
    "o1": _known(ModelFamily.O1, 200_000, *_FULL),
    "o1-mini": _known(ModelFamily.O1, 128_000),
    "deepseek-r1": _known(ModelFamily.R1, 128_000),
    "deepseek-r1-0528": _known(ModelFamily.R1, 128_000),
    "deepseek-v3": _known(ModelFamily.UNKNOWN, 128_000, *_TEXT),
    "deepseek-v3-0324": _known(ModelFamily.UNKNOWN, 128_000, *_TEXT),
    "mai-ds-r1": _known(ModelFamily.R1, 128_000),
    "llama-4-scout-17b-16e-instruct": _known(ModelFamily.LLAMA_4_SCOUT, 128_000, "vision", *_TEXT),
    "llama-4-maverick-17b-128e-instruct-fp8": _known(ModelFamily.LLAMA_4_MAVERICK, 128_000, "vision", *_TEXT),
    "llama-3.3-70b-instruct": _known(ModelFamily.LLAMA_3_3_70B, 128_000, *_TEXT),
    "meta-llama-3.1-405b-instruct": _known(ModelFamily.UNKNOWN, 128_000, *_TEXT),
    "meta-llama-3.1-70b-instruct": _known(ModelFamily.UNKNOWN, 128_000, *_TEXT),
    "meta-llama-3.1-8b-instruct": _known(ModelFamily.UNKNOWN, 128_000, *_TEXT),
    "llama-3.2-90b-vision-instruct": _known(ModelFamily.UNKNOWN, 128_000, "vision"),
    "llama-3.2-11b-vision-instruct": _known(ModelFamily.UNKNOWN, 128_000, "vision"),
    "mistral-large-2411": _known(ModelFamily.MISTRAL, 128_000, *_TEXT),
    "mistral-medium-2505": _known(ModelFamily.MISTRAL, 128_000, "vision", *_TEXT),
    "mistral-small-2503": _known(ModelFamily.MISTRAL, 128_000, "vision", *_TEXT),
    "mistral-nemo": _known(ModelFamily.MISTRAL, 128_000, *_TEXT),
    "ministral-3b": _known(ModelFamily.MINISTRAL, 128_000, *_TEXT),
    "codestral-2501": _known(ModelFamily.CODESRAL, 256_000, "json"),
    "cohere-command-a": _known(ModelFamily.UNKNOWN, 256_000, *_TEXT),
    "cohere-command-r-plus-08-2024": _known(ModelFamily.UNKNOWN, 128_000, *_TEXT),
    "cohere-command-r-08-2024": _known(ModelFamily.UNKNOWN, 128_000, *_TEXT),
    "grok-3": _known(ModelFamily.UNKNOWN, 131_072, "tools", "json", "schema"),
    "grok-3-mini": _known(ModelFamily.UNKNOWN, 131_072, "tools", "json", "schema"),
    "phi-4": _known(ModelFamily.UNKNOWN, 16_384, "json"),
    "phi-4-mini-instruct": _known(ModelFamily.UNKNOWN, 128_000, "tools", "json"),
    "phi-4-multimodal-instruct": _known(ModelFamily.UNKNOWN, 128_000, "vision"),
    "phi-4-reasoning": _known(ModelFamily.R1, 32_768),
    "phi-4-mini-reasoning": _known(ModelFamily.R1, 128_000),
    "ai21-jamba-1.5-large": _known(ModelFamily.UNKNOWN, 256_000, *_TEXT),
    "ai21-jamba-1.5-mini": _known(ModelFamily.UNKNOWN, 256_000, *_TEXT),
}
"""Models by their names in lower case, without the maker that GitHub puts in front."""

_UNKNOWN = _known(ModelFamily.UNKNOWN, UNKNOWN_CONTEXT, "tools")
_warned_of: set[str] = set()


def find(model: str) -> KnownModel | None:
    """Return what is known about a model: of `openai/gpt-4o` that of `gpt-4o`."""
    return MODELS.get(model.rsplit("/", 1)[-1].lower())


def info_of(model: str) -> ModelInfo:
    """Return what a model can do. Of a name that is not known this warns once: it may be able to do more than that."""
    known = find(model)
    if known is not None:
        return known.info
    if model not in _warned_of:
        _warned_of.add(model)
        which = f"Model {model!r} is" if model else "No model is named, so its abilities are"
        warnings.warn(
            f"{which} not known: it is taken to call tools, but not to see images or write JSON on demand. "
            "Say what it can do by model_info={'vision': ..., 'function_calling': ..., 'json_output': ..., "
            "'structured_output': ..., 'family': ModelFamily.UNKNOWN}.",
            stacklevel=4,  # where a client is made
        )
    return _UNKNOWN.info


def context_of(model: str) -> int:
    """Return how many tokens a model's context holds; for an unknown one, `UNKNOWN_CONTEXT`."""
    return (find(model) or _UNKNOWN).context
