"""Components: objects that can be written as a configuration and made from one. A configuration is data.

Loading one imports nothing outside of the trusted namespaces, makes only classes that live in them, and runs no source
text unless the caller allows it. Stands on `exceptions`; must not know any particular component.
"""

import importlib
import inspect
import os
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar, Generic, Literal, Self, TypeAlias, TypeGuard, cast, get_origin, overload

from pydantic import BaseModel
from typing_extensions import TypeVar

from autogen_core.exceptions import ComponentError

ComponentType: TypeAlias = (
    Literal["model", "agent", "tool", "termination", "token_provider", "workbench"] | str  # noqa: PYI051 - shown by editors
)
"""What a component is for. Any text will do; those listed are known to user interfaces."""

TRUSTED_NAMESPACES = ("autogen_core", "autogen_agentchat", "autogen_ext", "autogen_studio", "autogenstudio")
"""Packages whose components a configuration may name without further ado."""

NAMESPACES_VARIABLE = "AUTOGEN_ALLOWED_PROVIDER_NAMESPACES"
"""Environment variable with more trusted packages or modules, separated by commas; read at each load."""

PROVIDER_ALIASES = {
    "azure_openai_chat_completion_client": "autogen_ext.models.openai.AzureOpenAIChatCompletionClient",
    "AzureOpenAIChatCompletionClient": "autogen_ext.models.openai.AzureOpenAIChatCompletionClient",
    "openai_chat_completion_client": "autogen_ext.models.openai.OpenAIChatCompletionClient",
    "OpenAIChatCompletionClient": "autogen_ext.models.openai.OpenAIChatCompletionClient",
    "OllamaChatCompletionClient": "autogen_ext.models.ollama.OllamaChatCompletionClient",
}
"""Short names of providers."""

ConfigT = TypeVar("ConfigT", bound=BaseModel)
FromConfigT = TypeVar("FromConfigT", bound=BaseModel, contravariant=True)
ToConfigT = TypeVar("ToConfigT", bound=BaseModel, covariant=True)
ExpectedType = TypeVar("ExpectedType")

_source_code_allowed: ContextVar[bool] = ContextVar("autogen_core_source_code_allowed", default=False)


class ComponentModel(BaseModel):
    """A component written as data: which class it is, of which version, and its configuration."""

    provider: str
    """Where the class is found: module and name, or an alias."""

    component_type: ComponentType | None = None
    """What the component is for; `None` says nothing about it."""

    version: int | None = None
    """Version of this record; kept for programs that read it. Loading goes by `component_version`."""

    component_version: int | None = None
    """Version of the configuration; `None` stands for the current version of the class."""

    description: str | None = None
    """For people."""

    label: str | None = None
    """For people: a short name."""

    config: dict[str, Any]
    """What the class's configuration schema describes."""


class UnfitComponentError(ComponentError, TypeError):
    """A class cannot be used as the component it is asked to be."""


class ComponentFromConfig(Generic[FromConfigT]):
    """The half of a component that is made from a configuration."""

    @classmethod
    def _from_config(cls, config: FromConfigT) -> Self:
        """Make an instance from a validated configuration. Components implement this."""
        raise NotImplementedError(f"{cls.__name__} cannot be loaded: it does not implement _from_config.")

    @classmethod
    def _from_config_past_version(cls, config: dict[str, Any], version: int) -> Self:
        """Make an instance from a configuration of an older version, not validated yet."""
        raise NotImplementedError(
            f"{cls.__name__} cannot be loaded from version {version} of its configuration: it does not implement "
            "_from_config_past_version. Dump the component anew, or load it with the release that wrote it."
        )


class ComponentToConfig(Generic[ToConfigT]):
    """The half of a component that is written as a configuration."""

    component_type: ClassVar[ComponentType]
    """What the component is for."""

    component_version: ClassVar[int] = 1
    """Version of the configuration schema; raise it on an incompatible change."""

    component_provider_override: ClassVar[str | None] = None
    """Where the class is found, if not under its module and name: the public path of a class in a private module."""

    component_description: ClassVar[str | None] = None
    """For people; `None` takes the first paragraph of the class's docstring."""

    component_label: ClassVar[str | None] = None
    """For people; `None` takes the name of the class."""

    def _to_config(self) -> ToConfigT:
        """Return the configuration that makes an equal component. Components implement this."""
        raise NotImplementedError(f"{type(self).__name__} cannot be dumped: it does not implement _to_config.")

    def dump_component(self) -> ComponentModel:
        """Write the component as data that `load_component` reads. Entries that are `None` are left out.

        Raises:
            ComponentError: The class is defined in a function, where nothing can find it, or it holds something that
                cannot be written, such as a lambda.
            NotImplementedError: The component cannot be dumped.
        """
        cls = type(self)
        provider = cls.component_provider_override or _provider_of(cls)
        return ComponentModel(
            provider=provider,
            component_type=cls.component_type,
            version=cls.component_version,
            component_version=cls.component_version,
            description=cls.component_description or _first_paragraph(cls),
            label=cls.component_label or cls.__name__,
            config=self._to_config().model_dump(exclude_none=True),
        )


class ComponentLoader:
    """Makes components from configurations."""

    @overload
    @classmethod
    def load_component(
        cls, model: ComponentModel | dict[str, Any], expected: None = None, *, allow_source_code: bool = False
    ) -> Self: ...

    @overload
    @classmethod
    def load_component(
        cls, model: ComponentModel | dict[str, Any], expected: type[ExpectedType], *, allow_source_code: bool = False
    ) -> ExpectedType: ...

    @classmethod
    def load_component(
        cls,
        model: ComponentModel | dict[str, Any],
        expected: type[ExpectedType] | None = None,
        *,
        allow_source_code: bool = False,
    ) -> Self | ExpectedType:
        """Make the component that a configuration describes.

        The provider must lie in a trusted package: one of this project, one named in the environment variable
        `AUTOGEN_ALLOWED_PROVIDER_NAMESPACES` (package prefixes separated by commas), or the class this is called on.
        That is checked before anything is imported, and again for the module that really defines the class.

        Args:
            model: The configuration, as `dump_component` wrote it.
            expected: The class that the component must be an instance of; `None` for the class this is called on.
            allow_source_code: Let components run source text of their configuration, also nested ones; such as
                `FunctionTool`. Whoever wrote the configuration can then do all that this program can.

        Raises:
            ComponentError: The provider is unknown, not trusted or not a component, or the version is not supported.
            TypeError: The component is not of the expected class. Also a `ComponentError`; nothing was made.
            pydantic.ValidationError: The configuration does not fit the component's schema. Also a `ValueError`.
        """
        loaded = ComponentModel.model_validate(model) if isinstance(model, dict) else model
        wanted: type[Any] = cls if expected is None else get_origin(expected) or expected
        component = _find(PROVIDER_ALIASES.get(loaded.provider, loaded.provider), known=(cls, wanted))
        if not _may_be(component, wanted):
            raise UnfitComponentError(
                f"Expected type does not match: wanted a {wanted.__name__}, which {loaded.provider!r} is not."
            )
        with _allowing_source_code(allow_source_code or _source_code_allowed.get()):
            instance = _make(component, loaded)
        if not isinstance(instance, wanted):
            raise UnfitComponentError(
                f"Expected type does not match: wanted a {wanted.__name__}, but provider {loaded.provider!r} made a "
                f"{type(instance).__name__}."
            )
        return cast("Self | ExpectedType", instance)


class ComponentSchemaType(Generic[ConfigT]):
    """The part of a component that names the schema of its configuration."""

    component_config_schema: type[ConfigT]
    """The pydantic model that the configuration is validated with."""

    required_class_vars: ClassVar[list[str]] = ["component_config_schema", "component_type"]
    """What a concrete component must define."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__name__ in ("Component", "_ConcreteComponent") or _is_abstract(cls):
            return
        for name in cls.required_class_vars:
            if not hasattr(cls, name):
                warnings.warn(f"Component {cls.__name__} must define the class variable {name!r}.", stacklevel=2)


class ComponentBase(ComponentToConfig[ConfigT], ComponentLoader, Generic[ConfigT]):
    """Base of an interface whose implementations are components, such as a model client."""


class Component(ComponentFromConfig[ConfigT], ComponentSchemaType[ConfigT], Generic[ConfigT]):
    """Base of a concrete component, beside a `ComponentBase` that says what it is for.

    A component defines `component_config_schema`, `component_type` (often inherited), `_to_config` and `_from_config`:

        class Greeter(ComponentBase[BaseModel], Component[GreeterConfig]):
            component_type = "greeter"
            component_config_schema = GreeterConfig

            def __init__(self, name: str) -> None:
                self.name = name

            def _to_config(self) -> GreeterConfig:
                return GreeterConfig(name=self.name)

            @classmethod
            def _from_config(cls, config: GreeterConfig) -> Self:
                return cls(config.name)
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not is_component_class(cls) and not _is_abstract(cls):
            warnings.warn(
                f"Component {cls.__name__} can be loaded but not dumped: derive it from ComponentBase as well.",
                stacklevel=2,
            )


class _ConcreteComponent(
    ComponentFromConfig[ConfigT],
    ComponentSchemaType[ConfigT],
    ComponentToConfig[ConfigT],
    ComponentLoader,
    Generic[ConfigT],
):
    """What type checkers know of a class for which `is_component_class` holds."""


def is_component_instance(cls: Any) -> TypeGuard[_ConcreteComponent[BaseModel]]:
    """Tell whether an object can be dumped and loaded."""
    return is_component_class(cast("type[object]", cls.__class__))


def is_component_class(cls: type) -> TypeGuard[type[_ConcreteComponent[BaseModel]]]:
    """Tell whether the instances of a class can be dumped and loaded."""
    return (
        issubclass(cls, ComponentFromConfig)
        and issubclass(cls, ComponentSchemaType)
        and (issubclass(cls, ComponentToConfig) and issubclass(cls, ComponentLoader))
    )


def require_source_code_allowed(what: str) -> None:
    """Refuse to run source text of a configuration unless whoever loads it allowed that.

    Raises:
        ComponentError: It was not allowed. The text names `what` and the way to allow it.
    """
    if not _source_code_allowed.get():
        raise ComponentError(
            f"{what} holds source code, and loading it would run that code with all rights of this program. "
            "If you trust whoever wrote the configuration, call load_component(..., allow_source_code=True)."
        )


@contextmanager
def _allowing_source_code(allowed: bool) -> Generator[None]:
    token = _source_code_allowed.set(allowed)
    try:
        yield
    finally:
        _source_code_allowed.reset(token)


def _is_abstract(cls: type) -> bool:
    """Tell whether abstract methods are left; unlike `inspect.isabstract`, also while the class is being defined."""
    inherited = {name for base in cls.__bases__ for name in getattr(base, "__abstractmethods__", ())}
    return any(
        getattr(getattr(cls, name, None), "__isabstractmethod__", False) for name in inherited | vars(cls).keys()
    )


def _first_paragraph(cls: type) -> str | None:
    paragraph = inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0]
    return " ".join(paragraph.split()) or None


def _provider_of(cls: type) -> str:
    if "<locals>" in cls.__qualname__:
        raise UnfitComponentError(
            f"Cannot dump {cls.__qualname__}: a class defined in a function cannot be found again. "
            "Define it at the top level of a module."
        )
    return f"{cls.__module__}.{cls.__qualname__}"


def _is_trusted(path: str) -> bool:
    """Tell whether a module lies in a trusted namespace, comparing whole segments."""
    more = (name.strip() for name in os.environ.get(NAMESPACES_VARIABLE, "").split(","))
    return any(path == name or path.startswith(f"{name}.") for name in (*TRUSTED_NAMESPACES, *more) if name)


def _untrusted(provider: str, module: str) -> ComponentError:
    return ComponentError(
        f"Provider {provider!r} is refused: module {module!r} is not in a trusted namespace. If you trust it, add its "
        f"package to the environment variable {NAMESPACES_VARIABLE} (package names separated by commas)."
    )


def _find(provider: str, known: tuple[type[Any], ...]) -> type[Any]:
    """Return the component class that a provider names; one of those the caller already has needs no trust."""
    component = next((cls for cls in known if _names(provider, cls)), None) or _import(provider)
    if not is_component_class(component) or not hasattr(component, "component_config_schema"):
        raise UnfitComponentError(
            f"Invalid component class {provider!r}: a component derives from ComponentBase and Component, and "
            "defines component_config_schema."
        )
    return component


def _may_be(component: type[Any], wanted: type[Any]) -> bool:
    """Tell whether instances can be of a class; of a protocol that can only be told once there is an instance."""
    return getattr(wanted, "_is_protocol", False) or issubclass(component, wanted)


def _names(provider: str, cls: type) -> bool:
    return provider in (f"{cls.__module__}.{cls.__qualname__}", vars(cls).get("component_provider_override"))


def _import(provider: str) -> type:
    """Import a class from a trusted namespace; never follow a module that another one merely imported."""
    root, *parts = provider.split(".")
    if not parts or not all(part.isidentifier() for part in (root, *parts)) or any(part[:2] == "__" for part in parts):
        raise ComponentError(f"Provider {provider!r} is refused: expected 'package.module.ClassName' or a known alias.")
    path, names = provider.rpartition(".")[0], [parts[-1]]
    if not _is_trusted(path):
        raise _untrusted(provider, path)
    while True:
        try:
            found: object = importlib.import_module(path)
            break
        except ModuleNotFoundError as error:
            if not error.name or not f"{path}.".startswith(f"{error.name}."):
                raise  # the module is there, and misses a package of its own
            path, _, name = path.rpartition(".")
            names.insert(0, name)
            if not path or not _is_trusted(path):
                raise ComponentError(f"Provider {provider!r} is not found: {error}.") from error
    for name in names:
        found = getattr(found, name, None)
        if not isinstance(found, type):
            raise ComponentError(f"Provider {provider!r} is not found: {name!r} is not a class there.")
        if not _is_trusted(found.__module__):
            raise _untrusted(provider, found.__module__)
    return cast("type", found)


def _make(component: type[Any], model: ComponentModel) -> object:
    current: int = component.component_version
    version = model.component_version or current
    if version > current:
        raise ComponentError(
            f"Provider {model.provider!r} supports configurations up to version {current}, but this one has version "
            f"{version}: it was written by a newer release. Update the package that holds the component."
        )
    if version < current:
        return component._from_config_past_version(model.config, version)
    return component._from_config(component.component_config_schema.model_validate(model.config))
