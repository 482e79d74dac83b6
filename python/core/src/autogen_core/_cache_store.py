"""The contract of a cache, and one that lives in memory. Stands on components; must not know what is cached."""

from abc import ABC, abstractmethod
from typing import Generic, Self, TypeVar

from pydantic import BaseModel

from autogen_core._component import Component, ComponentBase

T = TypeVar("T")


class CacheStore(ABC, ComponentBase[BaseModel], Generic[T]):
    """Keeps values under keys."""

    component_type = "cache_store"

    @abstractmethod
    def get(self, key: str, default: T | None = None) -> T | None:
        """Return the value under `key`, or `default` if there is none."""
        ...

    @abstractmethod
    def set(self, key: str, value: T) -> None:
        """Keep a value under `key`, in place of what was there."""
        ...


class InMemoryStoreConfig(BaseModel):
    """A cache in memory as data: nothing, as there is nothing to set."""


class InMemoryStore(CacheStore[T], Component[InMemoryStoreConfig]):
    """A cache in memory, of any size, that ends with the process. Its configuration does not hold the values."""

    component_config_schema = InMemoryStoreConfig
    component_provider_override = "autogen_core.InMemoryStore"

    def __init__(self) -> None:
        self.store: dict[str, T] = {}

    def get(self, key: str, default: T | None = None) -> T | None:
        """Return the value under `key`, or `default` if there is none."""
        return self.store.get(key, default)

    def set(self, key: str, value: T) -> None:
        """Keep a value under `key`, in place of what was there."""
        self.store[key] = value

    def _to_config(self) -> InMemoryStoreConfig:
        return InMemoryStoreConfig()

    @classmethod
    def _from_config(cls, config: InMemoryStoreConfig) -> Self:  # noqa: ARG003 - empty
        return cls()
