"""Saved configurations of 0.7.5 name components and fields; each is known here under the same name."""

from collections.abc import Iterator
from typing import Any, cast

import pytest
from contract import ComponentRecord, Gaps, components, gaps
from finding import MISSING, resolve
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

RECORDS = components()
CONFIGS: dict[str, dict[str, Any]] = {
    "autogen_ext.models.openai.OpenAIChatCompletionClient": {"model": "gpt-4o", "api_key": "none"},
    "autogen_ext.models.openai.AzureOpenAIChatCompletionClient": {
        "model": "gpt-4o",
        "api_key": "none",
        "azure_endpoint": "https://example.invalid",
        "azure_deployment": "mine",
        "api_version": "2024-06-01",
    },
    "autogen_ext.models.ollama.OllamaChatCompletionClient": {"model": "llama3.2"},
}


class LenientSchema(GenerateJsonSchema):
    """A schema also of classes with fields that JSON cannot express, such as functions."""

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:
        """Anything is allowed there."""
        return {}


def schema_of(config: type[BaseModel]) -> dict[str, Any]:
    schema = config.model_json_schema(schema_generator=LenientSchema)
    return schema["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def problems_of(path: str, record: ComponentRecord) -> Iterator[tuple[str, str]]:
    """What is wrong with a component, by path."""
    cls: Any = resolve(path)
    provider = getattr(cls, "component_provider_override", None) or f"{cls.__module__}.{cls.__qualname__}"
    facts = {"component_type": getattr(cls, "component_type", None), "provider": provider}
    facts["component_version"] = getattr(cls, "component_version", None)
    for key, value in facts.items():
        if value != getattr(record, key):
            yield f"{path}#{key}", f"is {value!r}, not {getattr(record, key)!r}"
    if not isinstance(resolve(record.provider), type):
        yield f"{path}#provider", f"{record.provider} cannot be imported"
    schema = schema_of(cast("type[BaseModel]", cls.component_config_schema))
    found: dict[str, dict[str, Any]] = schema.get("properties", {})
    for name, wanted in record.fields.items():
        default = found.get(name, {}).get("default", MISSING)
        if name not in found:
            yield f"{path}#{name}", "missing"
        elif "default" in wanted and default != wanted["default"] and not (wanted["default"] == "<text>" and default):
            yield f"{path}#{name}", f"defaults to {default!r}, not {wanted['default']!r}"
    for name in set(schema.get("required", ())) - set(record.required):
        yield f"{path}#{name}", "is required"


@pytest.fixture(scope="module")
def listed() -> Gaps:
    return gaps()


def is_pending(path: str, listed: Gaps) -> bool:
    return any(f"{path}.".startswith(f"{entry}.") for entry in listed.pending)


@pytest.mark.parametrize("path", [path for path, record in RECORDS.components.items() if record.loadable])
def test_a_saved_configuration_of_the_component_is_understood(path: str, listed: Gaps) -> None:
    """Provider, type, version, and every field with its default are those of 0.7.5."""
    if is_pending(path, listed):
        assert resolve(path) is MISSING, "is built now: remove it from gaps.toml"
        return
    assert resolve(path) is not MISSING, f"there is no {path}"
    found = dict(problems_of(path, RECORDS.components[path]))
    allowed = {entry for entry in (*listed.pending, *listed.deliberate) if entry.startswith(f"{path}#")}
    assert found.keys() == allowed, found


@pytest.mark.parametrize(("alias", "provider"), RECORDS.aliases.items())
def test_a_short_provider_name_of_0_7_5_is_known(alias: str, provider: str, listed: Gaps) -> None:
    """Configurations may name model clients by an alias."""
    from autogen_core import ComponentModel
    from autogen_core.models import ChatCompletionClient

    if is_pending(provider, listed):
        assert resolve(provider) is MISSING, "is built now: remove it from gaps.toml"
        return
    model = ComponentModel(provider=alias, config=CONFIGS[provider], component_type="model")
    assert type(ChatCompletionClient.load_component(model)).__name__ == provider.rpartition(".")[2]
