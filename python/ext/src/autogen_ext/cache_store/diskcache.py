"""A cache in a folder. Stands on the `diskcache` package and the contract of a cache; must not know what is cached."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from pydantic import BaseModel

from autogen_core import CacheStore, Component

try:
    import diskcache  # pyright: ignore[reportMissingTypeStubs] - it has none; see the constructor
except ImportError as error:
    raise ImportError('A cache on disk needs an extra: pip install "autogen-ext[diskcache]"') from error

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class DiskCacheStoreConfig(BaseModel):
    """A cache in a folder as data."""

    directory: str
    """The folder; it is made if it is not there."""


class DiskCacheStore(CacheStore[T], Component[DiskCacheStoreConfig]):
    """A cache in a folder, which several processes may use at once.

    Values are pickled. Reading a pickle runs what is written in it, so a folder that others may write to is no place for
    a cache.

    Args:
        cache_instance: The open cache. Its limits, such as the size and what is evicted first, are its own; a dump holds
            the folder alone.
    """

    component_config_schema = DiskCacheStoreConfig
    component_provider_override = "autogen_ext.cache_store.diskcache.DiskCacheStore"

    def __init__(self, cache_instance: "diskcache.Cache") -> None:
        self.cache = cache_instance
        # The package has no type information: what is used of it is said here, once.
        self._get = cast("Callable[[str, T | None], T | None]", self.cache.get)  # pyright: ignore[reportUnknownMemberType] - see above
        self._set = cast("Callable[[str, T], bool]", self.cache.set)  # pyright: ignore[reportUnknownMemberType] - see above

    def get(self, key: str, default: T | None = None) -> T | None:
        """Return the value under `key`, or `default` if there is none. Blocks for the disk.

        Raises:
            diskcache.Timeout: Other processes held the folder for longer than the cache waits (60 seconds by default).
        """
        return self._get(key, default)

    def set(self, key: str, value: T) -> None:
        """Keep a value under `key`, in place of what was there. Blocks for the disk.

        Raises:
            diskcache.Timeout: Other processes held the folder for longer than the cache waits (60 seconds by default).
            pickle.PicklingError: The value cannot be pickled.
        """
        self._set(key, value)

    def _to_config(self) -> DiskCacheStoreConfig:
        directory = cast("Any", self.cache.directory)  # pyright: ignore[reportUnknownMemberType] - untyped package
        return DiskCacheStoreConfig(directory=str(Path(directory)))

    @classmethod
    def _from_config(cls, config: DiskCacheStoreConfig) -> Self:
        return cls(diskcache.Cache(config.directory))
