"""A cache in a Redis server. Stands on the `redis` package and the contract of a cache; must not know what is cached."""

import json
import logging
from typing import Annotated, Any, ClassVar, Self, TypeVar, cast

from pydantic import BaseModel, BeforeValidator, PlainSerializer, SecretStr

from autogen_core import CacheStore, Component

try:
    import redis
except ImportError as error:
    raise ImportError('A cache in Redis needs an extra: pip install "autogen-ext[redis]"') from error

T = TypeVar("T")

_log = logging.getLogger(__name__)

HIDDEN = "**********"
"""What JSON shows of a secret."""


def _reveal(value: object) -> object:
    """Read a password as a dump holds it.

    Raises:
        ValueError: Only the stars of a dump in JSON are left of it.
    """
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if value == HIDDEN:
        raise ValueError("the password was hidden when the store was dumped: put it into the configuration again")
    return value


def _hide(value: str | None) -> SecretStr | None:
    return None if value is None else SecretStr(value)


class RedisStoreConfig(BaseModel):
    """A cache in a Redis server as data. A dump holds the password as a secret: JSON shows stars for it."""

    host: str = "localhost"
    port: int = 6379
    db: int = 0
    username: str | None = None
    password: Annotated[str | None, BeforeValidator(_reveal), PlainSerializer(_hide)] = None
    ssl: bool = False
    socket_timeout: float | None = None
    """Seconds to wait for the server; `None` waits for ever."""


class RedisStore(CacheStore[T], Component[RedisStoreConfig]):
    """A cache in a Redis server, shared by all who reach it.

    Values are kept as JSON, also pydantic models and lists of them, and come back as dictionaries: whoever reads them
    makes models of them again. A cache must not end a run: a server that fails is logged as a warning, and the value
    counts as not there.

    Args:
        redis_instance: The SDK's client, with blocking methods. It is safe to use from several threads.
    """

    component_config_schema = RedisStoreConfig
    component_provider_override = "autogen_ext.cache_store.redis.RedisStore"

    waits_on_network: ClassVar[bool] = True
    """Asynchronous users read and write in a thread, so that a slow server does not hold up the event loop."""

    def __init__(self, redis_instance: "redis.Redis") -> None:
        self.cache = redis_instance

    def get(self, key: str, default: T | None = None) -> T | None:
        """Return the value under `key`, or `default` if there is none or the server fails. Blocks for the network.

        What is not JSON is returned as text; what is not text counts as not there.
        """
        try:
            raw = self.cache.get(key)
        except redis.RedisError as error:
            _log.warning("Redis could not be read, so nothing is cached under %s: %s", key, error)
            return default
        if raw is None:
            return default
        try:
            text = raw.decode() if isinstance(raw, bytes) else raw
        except UnicodeDecodeError:
            _log.warning("Redis holds something under %s that is not text; it is passed over", key)
            return default
        try:
            return cast("T", json.loads(text))
        except ValueError:
            return cast("T", text)

    def set(self, key: str, value: T) -> None:
        """Keep a value under `key`, in place of what was there. Blocks for the network.

        A value that JSON cannot hold, or a server that fails, is logged as a warning.
        """
        try:
            data = value if isinstance(value, str | bytes) else json.dumps(value, default=_as_json)
            self.cache.set(key, data)
        except (redis.RedisError, TypeError, ValueError) as error:
            _log.warning("Redis does not keep what should be cached under %s: %s", key, error)

    def _to_config(self) -> RedisStoreConfig:
        pool = self.cache.connection_pool
        settings: dict[str, Any] = pool.connection_kwargs
        if "host" not in settings:
            raise ValueError(
                "Only a store that connects to a host and a port can be dumped, not one behind a "
                f"{type(pool).__name__} of {getattr(pool.connection_class, '__name__', 'connections')}."
            )
        return RedisStoreConfig(
            **{name: settings[name] for name in RedisStoreConfig.model_fields if settings.get(name) is not None},
            ssl=issubclass(pool.connection_class, redis.SSLConnection),
        )

    @classmethod
    def _from_config(cls, config: RedisStoreConfig) -> Self:
        settings = {name: getattr(config, name) for name in RedisStoreConfig.model_fields}
        return cls(redis.Redis(**settings))


def _as_json(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")
