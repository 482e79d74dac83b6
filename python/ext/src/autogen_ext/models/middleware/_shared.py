"""Things that several clients share by a key: a limit, a budget, a circuit, a ledger. Stands on nothing.

A key is a name within the process. The thing lives as long as any client, or the program, holds it.
"""

from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")

_things: "WeakValueDictionary[tuple[type[Any], str], Any]" = WeakValueDictionary()


def shared(kind: type[T], key: str | None, settings: object, make: Callable[[], T]) -> T:
    """Return the thing of this kind and key, or make it; without a key, make one that is not shared.

    Raises:
        ValueError: There is one, with other settings. Each thing tells its own as `settings`.
    """
    if key is None:
        return make()
    thing = _things.get((kind, key))
    if thing is None:
        thing = _things[kind, key] = make()
    elif thing.settings != settings:
        raise ValueError(
            f"There is a {kind.__name__} {key!r} already, with other settings ({thing.settings}) than those asked for "
            f"({settings}): give both the same, or this one another key."
        )
    return thing
