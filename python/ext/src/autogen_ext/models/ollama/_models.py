"""What is known about models in Ollama's library, as data. Stands on the model contract; must not know the SDK.

A name that is not in the table is no error: the model then counts as able to call tools and nothing more.
"""

import warnings
from dataclasses import dataclass
from typing import Literal

from autogen_core.models import ModelFamily, ModelInfo

UNKNOWN_CONTEXT = 4096
"""Tokens that the context of an unknown model is taken to hold: what Ollama gives a model unless told otherwise."""

_Ability = Literal["vision", "tools", "thinks"]


@dataclass(frozen=True, slots=True)
class KnownModel:
    """One line of the table."""

    context: int
    """Tokens of prompt and answer together. Ollama uses fewer unless `num_ctx` is set."""
    abilities: frozenset[str]
    family: str = ModelFamily.UNKNOWN

    @property
    def info(self) -> ModelInfo:
        """The abilities in the form of the contract. JSON is enforced by Ollama, so every model writes it."""
        return ModelInfo(
            vision="vision" in self.abilities,
            function_calling="tools" in self.abilities,
            json_output=True,
            family=self.family,
            structured_output=True,
        )


def _known(context: int, *abilities: _Ability, family: str = ModelFamily.UNKNOWN) -> KnownModel:
    return KnownModel(context, frozenset(abilities), family)


MODELS: dict[str, KnownModel] = {
    "all-minilm": _known(512),
    "athene-v2": _known(32_768, "tools"),
    "aya": _known(8_192),
    "aya-expanse": _known(8_192, "tools"),
    "bakllava": _known(32_768, "vision"),
    "codegemma": _known(8_192),
    "codellama": _known(16_384),
    "codestral": _known(32_768, family=ModelFamily.CODESRAL),
    "cogito": _known(131_072, "tools", "thinks"),
    "command-a": _known(262_144, "tools"),
    "command-r": _known(131_072, "tools"),
    "command-r-plus": _known(131_072, "tools"),
    "command-r7b": _known(8_192, "tools"),
    "deepseek-coder": _known(16_384),
    "deepseek-coder-v2": _known(163_840),
    "deepseek-llm": _known(4_096),
    "deepseek-r1": _known(131_072, "tools", "thinks", family=ModelFamily.R1),
    "deepseek-v2": _known(163_840),
    "deepseek-v2.5": _known(4_096, "tools"),
    "deepseek-v3": _known(163_840),
    "deepseek-v3.1": _known(163_840, "tools", "thinks"),
    "deepscaler": _known(131_072, "thinks", family=ModelFamily.R1),
    "devstral": _known(131_072, "tools"),
    "dolphin-llama3": _known(8_192),
    "dolphin-mistral": _known(32_768),
    "dolphin-mixtral": _known(32_768),
    "dolphin3": _known(131_072),
    "exaone-deep": _known(32_768, "thinks"),
    "exaone3.5": _known(32_768),
    "falcon3": _known(32_768),
    "firefunction-v2": _known(8_192, "tools"),
    "gemma": _known(8_192),
    "gemma2": _known(8_192),
    "gemma3": _known(131_072, "vision"),
    "gemma3n": _known(32_768),
    "gemma4": _known(131_072, "vision", "tools", "thinks"),
    "glm4": _known(131_072),
    "gpt-oss": _known(131_072, "tools", "thinks"),
    "granite-code": _known(131_072),
    "granite3-dense": _known(4_096, "tools"),
    "granite3-moe": _known(4_096, "tools"),
    "granite3.1-dense": _known(131_072, "tools"),
    "granite3.1-moe": _known(131_072, "tools"),
    "granite3.2": _known(131_072, "tools", "thinks"),
    "granite3.2-vision": _known(16_384, "vision", "tools"),
    "granite3.3": _known(131_072, "tools", "thinks"),
    "granite4": _known(131_072, "tools"),
    "hermes3": _known(131_072, "tools"),
    "internlm2": _known(32_768),
    "llama-guard3": _known(131_072),
    "llama2": _known(4_096),
    "llama2-uncensored": _known(2_048),
    "llama3": _known(8_192),
    "llama3-gradient": _known(1_048_576),
    "llama3-groq-tool-use": _known(8_192, "tools"),
    "llama3.1": _known(131_072, "tools"),
    "llama3.2": _known(131_072, "tools"),
    "llama3.2-vision": _known(131_072, "vision"),
    "llama3.3": _known(131_072, "tools", family=ModelFamily.LLAMA_3_3_70B),
    "llama4": _known(1_048_576, "vision", "tools", family=ModelFamily.LLAMA_4_SCOUT),
    "llava": _known(32_768, "vision"),
    "llava-llama3": _known(8_192, "vision"),
    "llava-phi3": _known(4_096, "vision"),
    "magistral": _known(39_936, "tools", "thinks", family=ModelFamily.MISTRAL),
    "marco-o1": _known(32_768, "thinks"),
    "mathstral": _known(32_768, family=ModelFamily.MISTRAL),
    "minicpm-v": _known(32_768, "vision"),
    "ministral-3": _known(262_144, "vision", "tools", family=ModelFamily.MINISTRAL),
    "mistral": _known(32_768, "tools", family=ModelFamily.MISTRAL),
    "mistral-large": _known(131_072, "tools", family=ModelFamily.MISTRAL),
    "mistral-nemo": _known(1_024_000, "tools", family=ModelFamily.MISTRAL),
    "mistral-small": _known(32_768, "tools", family=ModelFamily.MISTRAL),
    "mistral-small3.1": _known(131_072, "vision", "tools", family=ModelFamily.MISTRAL),
    "mistral-small3.2": _known(131_072, "vision", "tools", family=ModelFamily.MISTRAL),
    "mixtral": _known(32_768, "tools", family=ModelFamily.MISTRAL),
    "moondream": _known(2_048, "vision"),
    "nemotron": _known(131_072, "tools"),
    "nemotron-mini": _known(4_096, "tools"),
    "neural-chat": _known(32_768),
    "nous-hermes2": _known(4_096),
    "olmo2": _known(4_096),
    "openchat": _known(8_192),
    "openthinker": _known(32_768, "thinks"),
    "orca-mini": _known(2_048),
    "phi": _known(2_048),
    "phi3": _known(131_072),
    "phi3.5": _known(131_072),
    "phi4": _known(16_384),
    "phi4-mini": _known(131_072, "tools"),
    "phi4-mini-reasoning": _known(131_072, "thinks"),
    "phi4-reasoning": _known(32_768, "thinks"),
    "qwen": _known(32_768),
    "qwen2": _known(32_768, "tools"),
    "qwen2.5": _known(32_768, "tools"),
    "qwen2.5-coder": _known(32_768, "tools"),
    "qwen2.5vl": _known(128_000, "vision"),
    "qwen3": _known(40_960, "tools", "thinks"),
    "qwen3-coder": _known(262_144, "tools"),
    "qwen3-next": _known(262_144, "tools", "thinks"),
    "qwen3-vl": _known(262_144, "vision", "tools", "thinks"),
    "qwq": _known(40_960, "tools", "thinks"),
    "reader-lm": _known(256_000),
    "smallthinker": _known(32_768, "thinks"),
    "smollm": _known(2_048),
    "smollm2": _known(8_192, "tools"),
    "solar": _known(4_096),
    "solar-pro": _known(4_096),
    "stable-code": _known(16_384),
    "stablelm2": _known(4_096),
    "starcoder2": _known(16_384),
    "starling-lm": _known(8_192),
    "tinyllama": _known(2_048),
    "vicuna": _known(4_096),
    "wizardcoder": _known(16_384),
    "wizardlm2": _known(32_768),
    "yi": _known(4_096),
    "zephyr": _known(32_768),
}
"""Models by their names in the library, without the tag."""

_UNKNOWN = KnownModel(UNKNOWN_CONTEXT, frozenset({"tools"}))
_warned_of: set[str] = set()


def find(model: str) -> KnownModel | None:
    """Return what is known about a model: of `qwen3:8b`, `library/qwen3` and `user/qwen3:tag` that of `qwen3`."""
    return MODELS.get(model.rsplit("/", 1)[-1].split(":", 1)[0].lower())


def info_of(model: str) -> ModelInfo:
    """Return what a model can do. Of a name that is not known this warns once: it may be able to do less, or more."""
    known = find(model)
    if known is not None:
        return known.info
    if model not in _warned_of:
        _warned_of.add(model)
        warnings.warn(
            f"Model {model!r} is not known: it is taken to call tools and write JSON, but not to see images. Say what it "
            "can do by model_info={'vision': ..., 'function_calling': ..., 'json_output': ..., "
            "'structured_output': ..., 'family': ModelFamily.UNKNOWN}.",
            stacklevel=6,  # where a client is made
        )
    return _UNKNOWN.info


def context_of(model: str) -> int:
    """Return how many tokens a model's context can hold; for an unknown one, `UNKNOWN_CONTEXT`."""
    return (find(model) or _UNKNOWN).context


def thinks(model: str) -> bool:
    """Tell whether a model is known to reason before it answers."""
    known = find(model)
    return known is not None and "thinks" in known.abilities
