"""Names that providers accept for tools and for the authors of messages. Stands on nothing; knows no provider."""

import re

MAX_NAME_LENGTH = 64
"""Characters that a name may have."""

_ALLOWED = re.compile(r"[a-zA-Z0-9_-]+")
_FORBIDDEN = re.compile(r"[^a-zA-Z0-9_-]")


def normalize_name(name: str) -> str:
    """Make a name that a model invented acceptable: forbidden characters become `_`, the rest is cut off."""
    return _FORBIDDEN.sub("_", name)[:MAX_NAME_LENGTH]


def assert_valid_name(name: str) -> str:
    """Return a name unchanged if providers accept it.

    Raises:
        ValueError: It is empty, too long, or holds a character other than letters of ASCII, digits, `_` and `-`.
    """
    if not _ALLOWED.fullmatch(name):
        raise ValueError(
            f"Invalid name: {name}. Only letters, numbers, '_' and '-' are allowed. Rename the tool or the agent; for "
            "the authors of messages, include_name_in_message=False and add_name_prefixes=True also help."
        )
    if len(name) > MAX_NAME_LENGTH:
        raise ValueError(f"Invalid name: {name}. Name must be less than {MAX_NAME_LENGTH} characters.")
    return name
