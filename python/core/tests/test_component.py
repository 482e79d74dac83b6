"""Components: dumped as data, loaded from data, and what a configuration can never do."""

import json
import warnings
from abc import abstractmethod
from typing import Any, Self

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from autogen_core import (
    CacheStore,
    Component,
    ComponentBase,
    ComponentLoader,
    ComponentModel,
    InMemoryStore,
    is_component_class,
    is_component_instance,
)
from autogen_core._component import NAMESPACES_VARIABLE
from autogen_core.exceptions import ComponentError
from autogen_core.memory import Memory
from autogen_core.model_context import ChatCompletionContext


class GreeterConfig(BaseModel):
    name: str
    key: SecretStr | None = None
    tone: str | None = None


class Greeter(ComponentBase[BaseModel], Component[GreeterConfig]):
    """Greets somebody
    by name.

    It does nothing else.
    """  # noqa: D205 - a first paragraph of two lines is what is tested

    component_type = "greeter"
    component_config_schema = GreeterConfig

    def __init__(self, name: str, key: SecretStr | None = None) -> None:
        self.name = name
        self.key = key

    def _to_config(self) -> GreeterConfig:
        return GreeterConfig(name=self.name, key=self.key)

    @classmethod
    def _from_config(cls, config: GreeterConfig) -> Self:
        return cls(config.name, config.key)


class Polyglot(Greeter):
    component_version = 3
    component_label = "Speaks"
    component_description = "Many languages"

    @classmethod
    def _from_config_past_version(cls, config: dict[str, Any], version: int) -> Self:
        return cls(f"{config['who']} of version {version}")


class Pair(ComponentBase[BaseModel], Component[GreeterConfig]):
    component_type = "pair"
    component_config_schema = GreeterConfig


class Outer:
    class Inner(Greeter):  # noqa: D106 - a class without a docstring is what is tested
        pass


ADD_ONE: dict[str, Any] = {
    "provider": "autogen_core.tools.FunctionTool",
    "config": {
        "source_code": "def add_one(x: int) -> int:\n    return x + 1",
        "name": "add_one",
        "description": "",
        "global_imports": [],
        "has_cancellation_support": False,
    },
}


class MisplacedBase(ComponentBase[BaseModel]):
    component_type = "nothing"


@pytest.fixture
def trusted_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAMESPACES_VARIABLE, f"somewhere.else, {__name__} ,,")


def test_a_dump_says_what_makes_an_equal_component() -> None:
    assert Greeter("Ada").dump_component().model_dump() == {
        "provider": f"{__name__}.Greeter",
        "component_type": "greeter",
        "version": 1,
        "component_version": 1,
        "description": "Greets somebody by name.",
        "label": "Greeter",
        "config": {"name": "Ada"},
    }


def test_label_description_and_version_of_the_class_are_dumped() -> None:
    dumped = Polyglot("Ada").dump_component()
    assert (dumped.label, dumped.description, dumped.version, dumped.component_version) == (
        "Speaks",
        "Many languages",
        3,
        3,
    )


def test_a_class_without_a_docstring_is_dumped_without_a_description() -> None:
    assert Outer.Inner("Ada").dump_component().description is None


def test_a_secret_is_hidden_in_json_and_kept_in_the_record() -> None:
    dumped = Greeter("Ada", SecretStr("hush")).dump_component()
    assert json.loads(dumped.model_dump_json())["config"]["key"] == "**********"
    loaded = Greeter.load_component(dumped)
    assert loaded.key is not None
    assert loaded.key.get_secret_value() == "hush"


def test_a_class_loads_its_own_configuration_without_being_trusted() -> None:
    loaded = Greeter.load_component(Greeter("Ada").dump_component())
    assert (type(loaded), loaded.name) == (Greeter, "Ada")


def test_the_expected_class_is_known_to_the_caller_and_needs_no_trust() -> None:
    loaded = ComponentLoader.load_component(Greeter("Ada").dump_component(), Greeter)
    assert loaded.name == "Ada"


def test_a_configuration_may_be_a_plain_dict() -> None:
    assert Greeter.load_component({"provider": f"{__name__}.Greeter", "config": {"name": "Ada"}}).name == "Ada"


def test_a_class_outside_of_the_trusted_namespaces_is_refused_with_the_remedy() -> None:
    with pytest.raises(ComponentError, match=NAMESPACES_VARIABLE) as caught:
        ComponentLoader.load_component(Greeter("Ada").dump_component())
    assert f"{__name__}.Greeter" in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.usefixtures("trusted_here")
def test_a_namespace_in_the_environment_is_trusted_from_the_next_load_on() -> None:
    loaded = ComponentLoader.load_component(Greeter("Ada").dump_component(), Greeter)
    assert loaded.name == "Ada"


@pytest.mark.usefixtures("trusted_here")
def test_a_nested_class_round_trips() -> None:
    loaded = ComponentLoader.load_component(Outer.Inner("Ada").dump_component(), Greeter)
    assert type(loaded) is Outer.Inner


def test_a_subclass_does_not_load_its_parents_configuration() -> None:
    with pytest.raises(ComponentError):
        Polyglot.load_component(Greeter("Ada").dump_component())


def test_an_older_configuration_goes_to_the_upgrade_hook() -> None:
    loaded = Polyglot.load_component(
        ComponentModel(provider=f"{__name__}.Polyglot", component_version=2, config={"who": "Ada"})
    )
    assert loaded.name == "Ada of version 2"


def test_an_older_configuration_without_an_upgrade_hook_is_refused_by_name() -> None:
    class Newer(Greeter):
        component_version = 2
        component_provider_override = "somewhere.Newer"

    with pytest.raises(NotImplementedError, match=r"Newer .* version 1"):
        Newer.load_component({"provider": "somewhere.Newer", "component_version": 1, "config": {"name": "Ada"}})


def test_a_configuration_without_a_version_is_taken_as_current() -> None:
    loaded = Polyglot.load_component({"provider": f"{__name__}.Polyglot", "version": 1, "config": {"name": "Ada"}})
    assert loaded.name == "Ada"


def test_a_configuration_of_a_newer_release_is_refused() -> None:
    with pytest.raises(ComponentError, match="up to version 1, but this one has version 7"):
        ComponentLoader.load_component({"provider": "autogen_core.InMemoryStore", "component_version": 7, "config": {}})


def test_a_configuration_that_does_not_fit_the_schema_is_refused() -> None:
    with pytest.raises(ValidationError):
        Greeter.load_component({"provider": f"{__name__}.Greeter", "config": {"name": []}})


def test_a_record_without_a_configuration_is_refused() -> None:
    with pytest.raises(ValidationError):
        ComponentLoader.load_component({"provider": "autogen_core.InMemoryStore"})


def test_a_component_of_another_class_than_expected_is_refused_before_it_is_made() -> None:
    made: list[str] = []

    class Noisy(Greeter):
        component_provider_override = "somewhere.Noisy"

        @classmethod
        def _from_config(cls, config: GreeterConfig) -> Self:
            made.append(config.name)
            return cls(config.name)

    with pytest.raises(TypeError, match="Expected type does not match") as caught:
        Noisy.load_component({"provider": "somewhere.Noisy", "config": {"name": "Ada"}}, Memory)
    assert isinstance(caught.value, ComponentError)
    assert made == []


def test_a_component_that_makes_something_else_is_refused() -> None:
    class Swapper(Greeter):
        component_provider_override = "somewhere.Swapper"

        @classmethod
        def _from_config(cls, config: GreeterConfig) -> Self:
            return InMemoryStore[str]()  # type: ignore[return-value] - the misuse under test

    with pytest.raises(TypeError, match="made a InMemoryStore"):
        Swapper.load_component({"provider": "somewhere.Swapper", "config": {"name": "Ada"}})


def test_an_alias_stands_for_its_provider() -> None:
    """The class is in another distribution, so what is seen here is where the alias leads."""
    with pytest.raises((ImportError, ValueError)) as caught:
        ComponentLoader.load_component({"provider": "openai_chat_completion_client", "config": {}})
    assert "expected 'package.module.ClassName'" not in str(caught.value)


def test_a_name_that_is_no_alias_is_refused() -> None:
    with pytest.raises(ComponentError, match="known alias"):
        ComponentLoader.load_component({"provider": "Greeter", "config": {}})


@pytest.mark.parametrize(
    "provider", ["autogen_core.Nothing", "autogen_core.nothing.Thing", "autogen_core.tools.Nothing.Thing"]
)
def test_a_provider_that_is_not_there_is_a_component_error(provider: str) -> None:
    with pytest.raises(ComponentError, match="not found"):
        ComponentLoader.load_component({"provider": provider, "config": {}})


@pytest.mark.parametrize("provider", ["autogen_core.AgentId", "autogen_core.CacheStore", "autogen_core.tools.BaseTool"])
def test_a_class_that_is_no_component_is_refused(provider: str) -> None:
    with pytest.raises(ComponentError, match="Invalid component class"):
        ComponentLoader.load_component({"provider": provider, "config": {}})


def test_a_class_in_a_function_cannot_be_dumped() -> None:
    class Local(Greeter):
        pass

    with pytest.raises(ComponentError, match="top level of a module"):
        Local("Ada").dump_component()


def test_a_component_without_hooks_says_which_one_it_lacks() -> None:
    with pytest.raises(NotImplementedError, match="Pair cannot be dumped: it does not implement _to_config"):
        Pair().dump_component()
    with pytest.raises(NotImplementedError, match="Pair cannot be loaded: it does not implement _from_config"):
        Pair.load_component({"provider": f"{__name__}.Pair", "config": {"name": "Ada"}})


def test_what_is_a_component_can_be_asked() -> None:
    assert [is_component_class(cls) for cls in (Greeter, InMemoryStore, CacheStore, MisplacedBase, int)] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert is_component_instance(Greeter("Ada"))
    assert not is_component_instance(3)


@pytest.mark.parametrize("missing", ["component_config_schema", "component_type"])
def test_a_component_without_a_required_class_variable_is_warned_of_at_its_definition(missing: str) -> None:
    body: dict[str, Any] = {"component_config_schema": GreeterConfig, "component_type": "greeter"}
    del body[missing]
    with pytest.warns(UserWarning, match=missing):
        type("Incomplete", (ComponentBase, Component), body)


def test_a_component_that_cannot_be_dumped_is_warned_of_at_its_definition() -> None:
    with pytest.warns(UserWarning, match="derive it from ComponentBase"):
        type("Half", (Component,), {"component_config_schema": GreeterConfig, "component_type": "greeter"})


def test_an_abstract_base_need_not_be_complete() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        class Base(ComponentBase[BaseModel], Component[GreeterConfig]):
            @abstractmethod
            def greet(self) -> str: ...

    assert not hasattr(Base, "component_config_schema")


def test_protocols_and_abstract_classes_can_be_expected() -> None:
    from autogen_core.tools import Tool

    assert ComponentLoader.load_component(ADD_ONE, Tool, allow_source_code=True).name == "add_one"
    with pytest.raises(TypeError):
        ComponentLoader.load_component({"provider": "autogen_core.InMemoryStore", "config": {}}, Tool)
    with pytest.raises(TypeError):
        ChatCompletionContext.load_component({"provider": "autogen_core.InMemoryStore", "config": {}})
