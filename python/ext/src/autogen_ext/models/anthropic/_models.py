"""What is known about Anthropic's models, as data. Stands on the model contract; must not know the SDK.

A name that is not in the table is no error: the model then counts as able to call tools and to write text and JSON.
"""

import re
import warnings
from dataclasses import dataclass

from autogen_core.models import ModelFamily, ModelInfo

UNKNOWN_CONTEXT = 100_000
"""Tokens that the context of an unknown model is taken to hold."""


@dataclass(frozen=True, slots=True)
class KnownModel:
    """One line of the table. All of these see images and call tools."""

    family: str
    context: int
    """Tokens of prompt and answer together."""
    schemas: bool = False
    """The API itself makes the model follow a JSON schema; for others an answer is asked for as a call of a tool."""

    @property
    def info(self) -> ModelInfo:
        """The abilities in the form of the contract."""
        return ModelInfo(
            vision=True,
            function_calling=True,
            json_output=True,
            family=self.family,
            structured_output=True,
            multiple_system_messages=False,
        )


_SONNET, _OPUS = ModelFamily.CLAUDE_4_SONNET, ModelFamily.CLAUDE_4_OPUS

MODELS: dict[str, KnownModel] = {
    "claude-fable-5": KnownModel(_OPUS, 1_000_000, schemas=True),
    "claude-fable-5-1": KnownModel(_OPUS, 1_000_000, schemas=True),
    "claude-fable-5-2": KnownModel(_OPUS, 1_000_000, schemas=True),
    "claude-mythos-5": KnownModel(_OPUS, 1_000_000, schemas=True),
    "claude-mythos-5-1": KnownModel(_OPUS, 1_000_000, schemas=True),
    "claude-mythos-5-2": KnownModel(_OPUS, 1_000_000, schemas=True),
    "claude-mythos-preview": KnownModel(_OPUS, 1_000_000, schemas=True),
    "claude-opus-5-5": KnownModel(_OPUS, 1_000_000, schemas=True),
    "claude-opus-5": KnownModel(_OPUS, 1_000_000, schemas=True),
    "claude-opus-4-8": KnownModel(_OPUS, 1_000_000, schemas=True),
    "claude-opus-4-7": KnownModel(_OPUS, 1_000_000, schemas=True),
    "claude-opus-4-6": KnownModel(_OPUS, 1_000_000, schemas=True),
    "claude-opus-4-5": KnownModel(_OPUS, 200_000, schemas=True),
    "claude-opus-4-1": KnownModel(_OPUS, 200_000),
    "claude-opus-4": KnownModel(_OPUS, 200_000),
    "claude-sonnet-5-5": KnownModel(_SONNET, 1_000_000, schemas=True),
    "claude-sonnet-5": KnownModel(_SONNET, 1_000_000, schemas=True),
    "claude-sonnet-4-6": KnownModel(_SONNET, 1_000_000, schemas=True),
    "claude-sonnet-4-5": KnownModel(_SONNET, 200_000, schemas=True),
    "claude-sonnet-4": KnownModel(_SONNET, 200_000),
    "claude-haiku-5-5": KnownModel(_SONNET, 1_000_000, schemas=True),
    "claude-haiku-4-5": KnownModel(_SONNET, 200_000, schemas=True),
    "claude-3-7-sonnet": KnownModel(ModelFamily.CLAUDE_3_7_SONNET, 200_000),
    "claude-3-5-sonnet": KnownModel(ModelFamily.CLAUDE_3_5_SONNET, 200_000),
    "claude-3-5-haiku": KnownModel(ModelFamily.CLAUDE_3_5_HAIKU, 200_000),
    "claude-3-opus": KnownModel(ModelFamily.CLAUDE_3_OPUS, 200_000),
    "claude-3-sonnet": KnownModel(ModelFamily.CLAUDE_3_SONNET, 200_000),
    "claude-3-haiku": KnownModel(ModelFamily.CLAUDE_3_HAIKU, 200_000),
}
"""Models by their names without a date. https://platform.claude.com/docs/en/models/overview"""

ALIASES: dict[str, str] = {
    "claude-4-opus": "claude-opus-4",
    "claude-4-sonnet": "claude-sonnet-4",
    "claude-opus-4-0": "claude-opus-4",
    "claude-sonnet-4-0": "claude-sonnet-4",
}
"""Other names, and those in the table that they stand for."""

_HOST = re.compile(r"(?:.*/)?(?:[a-z-]+\.)?anthropic\.|.*/")
"""What hosts put before a name: Bedrock its maker, a region, or an ARN; routers a path."""
_SNAPSHOT = re.compile(r"(?:[-@]\d{8}|-latest)?(?:-v\d+)?(?::.*)?$")
"""What may follow a name: a date, and Bedrock's version."""
_warned_of: set[str] = set()


def resolve(model: str) -> str:
    """Return the name of a model in the table, also for a snapshot and in the spelling of a host such as Bedrock.

    A name that is not known is returned as it is.
    """
    name = _SNAPSHOT.sub("", _HOST.sub("", model, count=1), count=1)
    full = ALIASES.get(name, name)
    return full if full in MODELS else model


def info_of(model: str) -> ModelInfo:
    """Return what a model can do. Of a name that is not known this warns once: it may be able to do more than that."""
    known = MODELS.get(resolve(model))
    if known is not None:
        return known.info
    if model not in _warned_of:
        _warned_of.add(model)
        warnings.warn(
            f"Model {model!r} is not known: it is taken to call tools and write JSON, but not to see images. "
            "Say what it can do by model_info={'vision': ..., 'function_calling': ..., 'json_output': ..., "
            "'structured_output': ..., 'family': ModelFamily.UNKNOWN}.",
            stacklevel=6,  # where a client is made
        )
    return ModelInfo(
        vision=False,
        function_calling=True,
        json_output=True,
        family=ModelFamily.UNKNOWN,
        structured_output=True,
        multiple_system_messages=False,
    )


def context_of(model: str) -> int:
    """Return how many tokens a model's context holds; for an unknown one, `UNKNOWN_CONTEXT`."""
    known = MODELS.get(resolve(model))
    return known.context if known is not None else UNKNOWN_CONTEXT


def follows_schemas(model: str) -> bool:
    """Tell whether the API itself makes a model follow a JSON schema; of unknown models this is not presumed."""
    known = MODELS.get(resolve(model))
    return known is not None and known.schemas
