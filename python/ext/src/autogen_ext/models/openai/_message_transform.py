"""How families of models want OpenAI's messages to differ: rules as data. Stands on the model contract.

All speak one protocol, but some refuse what others need: a name beside a user message, or a message without text.
"""

from dataclasses import dataclass
from typing import Literal

from autogen_core.models import ModelFamily


@dataclass(frozen=True, slots=True)
class Dialect:
    """What is special about the messages of one family."""

    names: bool = True
    """User messages may carry the name of their author."""
    blank_system: Literal["keep", "fill"] = "keep"
    """What becomes of an empty system message: it stays, or a space is put into it."""
    blank_text: Literal["keep", "fill", "drop"] = "keep"
    """The same for user and assistant messages; some families want those without visible text left out."""


OPENAI = Dialect()
GEMINI = Dialect(blank_system="fill", blank_text="fill")
CLAUDE = Dialect(blank_system="fill", blank_text="drop")
MISTRAL = Dialect(names=False, blank_system="fill")


def dialect_of(family: str) -> Dialect:
    """Return the rules for a family; those of OpenAI for one that has none of its own."""
    if ModelFamily.is_gemini(family):
        return GEMINI
    if ModelFamily.is_claude(family):
        return CLAUDE
    if ModelFamily.is_mistral(family):
        return MISTRAL
    return OPENAI
