"""Hides secrets in what an error says. Stands on nothing; knows no provider."""

from typing import Any, cast

HIDDEN = "**********"
"""Stands for a secret."""

_SHORTEST_SECRET = 8
"""Characters; a placeholder such as `x` is no secret, and hiding it would make texts unreadable."""


def hide(value: Any, secrets: tuple[str, ...]) -> Any:
    """Return a text, or what holds texts, with secrets replaced."""
    if isinstance(value, str):
        for secret in secrets:
            if len(secret) >= _SHORTEST_SECRET:
                value = value.replace(secret, HIDDEN)
        return value
    if isinstance(value, dict):
        return {key: hide(item, secrets) for key, item in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        items = [hide(item, secrets) for item in cast("list[Any]", value)]
        return tuple(items) if isinstance(value, tuple) else items
    return value
