"""How clients are made, saved, loaded and pickled, and which server and key they use."""

import pickle
import subprocess
import sys
from typing import Any

import openai
import pytest
from pydantic import BaseModel, SecretStr

from autogen_core import Component, ComponentBase, ComponentModel
from autogen_core.models import ChatCompletionClient, ModelInfo, UserMessage
from autogen_ext.models.openai import (
    AZURE_OPENAI_USER_AGENT,
    AzureOpenAIChatCompletionClient,
    MissingApiKeyError,
    OpenAIChatCompletionClient,
    _models,
)

from .canned import CannedServer
from .conftest import MakeClient

SECRET = "sk-secret-of-the-tests"
INFO = ModelInfo(vision=False, function_calling=True, json_output=True, family="unknown", structured_output=False)
AZURE: dict[str, Any] = {
    "model": "gpt-4o",
    "azure_endpoint": "https://ours.openai.azure.com",
    "azure_deployment": "our-deployment",
    "api_version": "2024-06-01",
}


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI", "AZURE_OPENAI", "GEMINI", "ANTHROPIC", "LLAMA"):
        monkeypatch.delenv(f"{name}_API_KEY", raising=False)
    for name in ("OPENAI_BASE_URL", "OPENAI_ADMIN_KEY", "AZURE_OPENAI_AD_TOKEN", "AZURE_OPENAI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


def sdk_of(client: OpenAIChatCompletionClient | AzureOpenAIChatCompletionClient) -> openai.AsyncOpenAI:
    return client._client


def test_importing_the_clients_does_not_load_the_sdk() -> None:
    """Loading it takes several times as long as all the rest, and a program may never make a client."""
    program = (
        "import sys, autogen_ext.models.openai as o; o.OpenAIChatCompletionClient; assert 'openai' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_missing_sdk_is_one_error_that_names_the_extra() -> None:
    program = (
        "import sys; sys.modules['openai'] = None\n"
        "import importlib.util; importlib.util.find_spec = lambda name, package=None: None\n"
        "import autogen_ext.models.openai"
    )
    result = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert result.returncode == 1
    assert 'pip install "autogen-ext[openai]"' in result.stderr.splitlines()[-1]


def test_without_a_key_the_error_says_what_to_set() -> None:
    for kind in (openai.OpenAIError, ValueError):
        with pytest.raises(kind, match=r"OPENAI_API_KEY.*api_key="):
            OpenAIChatCompletionClient(model="gpt-4o")


def test_without_the_key_of_a_maker_the_key_of_another_is_not_sent_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with pytest.raises(MissingApiKeyError, match="GEMINI_API_KEY") as caught:
        OpenAIChatCompletionClient(model="gemini-2.0-flash")
    assert caught.value.key_variable == "GEMINI_API_KEY"


def test_without_a_key_for_azure_the_error_says_what_to_set() -> None:
    with pytest.raises(MissingApiKeyError, match=r"AZURE_OPENAI_API_KEY.*azure_ad_token_provider"):
        AzureOpenAIChatCompletionClient(**AZURE)


async def test_key_and_address_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    client = OpenAIChatCompletionClient(model="gpt-4o")
    assert sdk_of(client).api_key == SECRET
    assert str(sdk_of(client).base_url) == "http://127.0.0.1:9/v1/"
    assert client.dump_component().config == {"model": "gpt-4o"}
    await client.close()


@pytest.mark.parametrize(
    ("model", "address", "variable"),
    [
        ("gemini-2.0-flash", "https://generativelanguage.googleapis.com/v1beta/openai/", "GEMINI_API_KEY"),
        ("claude-3-5-sonnet-20241022", "https://api.anthropic.com/v1/", "ANTHROPIC_API_KEY"),
        ("Llama-4-Scout-17B-16E-Instruct-FP8", "https://api.llama.com/compat/v1/", "LLAMA_API_KEY"),
    ],
)
async def test_models_of_other_makers_are_asked_for_there(
    monkeypatch: pytest.MonkeyPatch, model: str, address: str, variable: str
) -> None:
    monkeypatch.setenv(variable, SECRET)
    client = OpenAIChatCompletionClient(model=model)
    assert str(sdk_of(client).base_url) == address
    assert sdk_of(client).api_key == SECRET
    elsewhere = OpenAIChatCompletionClient(model=model, base_url="http://127.0.0.1:9/v1", api_key="any")
    assert str(sdk_of(elsewhere).base_url) == "http://127.0.0.1:9/v1/"
    await client.close()
    await elsewhere.close()


async def test_arguments_reach_the_sdk(make_client: MakeClient, server: CannedServer) -> None:
    client = make_client(
        organization="ours", timeout=3.5, max_retries=4, default_headers={"x-ours": "1"}, extra_body={"top_k": 2}
    )
    await client.create([UserMessage(content="hi", source="user")])
    sdk, request = sdk_of(client), server.requests[0]
    assert (sdk.timeout, sdk.max_retries) == (3.5, 4)
    assert (request.headers["openai-organization"], request.headers["x-ours"]) == ("ours", "1")
    assert request.body["top_k"] == 2


async def test_warnings_point_to_where_the_client_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_models, "_warned_of", set[str]())
    arguments: dict[str, Any] = {"model": "our-own", "api_key": SECRET, "temprature": 0.5}
    with pytest.warns(UserWarning, match="ignored|not known") as caught:
        client = OpenAIChatCompletionClient(**arguments)
    await client.close()
    assert [warning.filename for warning in caught] == [__file__, __file__]
    assert "ignored: temprature" in str(caught[0].message)
    assert "'our-own' is not known" in str(caught[1].message)


async def test_model_info_wins_over_the_table_and_must_be_complete(make_client: MakeClient) -> None:
    assert make_client(model="gpt-4o", model_info=INFO).model_info == INFO
    with pytest.raises(ValueError, match="function_calling"):
        make_client(model_info={"vision": True})


async def test_model_capabilities_are_the_old_form(make_client: MakeClient) -> None:
    old = {"vision": True, "function_calling": True, "json_output": False}
    with pytest.warns(DeprecationWarning, match="use model_info"):
        client = make_client(model="our-own", model_capabilities=old)
    assert client.model_info == {**old, "family": "unknown", "structured_output": False}
    with pytest.raises(ValueError, match="mutually exclusive"):
        make_client(model_capabilities=old, model_info=INFO)


async def test_a_configuration_of_before_loads_and_dumps_the_same() -> None:
    config = {
        "model": "our-own",
        "api_key": SECRET,
        "base_url": "http://127.0.0.1:9/v1",
        "temperature": 0.5,
        "stop": ["END"],
        "timeout": 3.0,
        "max_retries": 1,
        "model_info": dict(INFO),
        "add_name_prefixes": True,
        "include_name_in_message": False,
        "default_headers": {"x-ours": "1"},
        "response_format": {"type": "json_object", "json_schema": None},
        "stream_options": {"include_usage": True},
        "organization": "ours",
    }
    saved = {
        "provider": "OpenAIChatCompletionClient",
        "component_type": "model",
        "version": 1,
        "component_version": 1,
        "config": config,
    }
    client = ChatCompletionClient.load_component(saved)
    assert isinstance(client, OpenAIChatCompletionClient)
    dumped = client.dump_component()
    assert dumped.provider == "autogen_ext.models.openai.OpenAIChatCompletionClient"
    assert dumped.config["api_key"] == SecretStr(SECRET)
    assert SECRET not in dumped.model_dump_json()
    assert {**dumped.config, "api_key": SECRET} == {**config, "response_format": {"type": "json_object"}}
    again = OpenAIChatCompletionClient.load_component(dumped)
    assert again.dump_component() == dumped
    await client.close()
    await again.close()


def test_a_key_that_was_saved_as_asterisks_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = {
        "provider": "autogen_ext.models.openai.OpenAIChatCompletionClient",
        "config": {"model": "gpt-4o", "api_key": "**********"},
    }
    with pytest.raises(MissingApiKeyError):
        OpenAIChatCompletionClient.load_component(saved)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    assert sdk_of(OpenAIChatCompletionClient.load_component(saved)).api_key == SECRET


async def test_a_dump_holds_no_secret_but_can_be_loaded_in_the_same_process(
    server: CannedServer, make_client: MakeClient
) -> None:
    headers = {"X-Api-Key": SECRET, "x-ours": "1"}
    client = make_client(default_headers=headers)
    dumped = client.dump_component()
    assert SECRET not in dumped.model_dump_json()
    assert SECRET not in repr(dumped)
    again = OpenAIChatCompletionClient.load_component(dumped)
    await again.create([UserMessage(content="hi", source="user")])
    await again.close()
    assert (server.requests[0].headers["x-api-key"], server.requests[0].headers["x-ours"]) == (SECRET, "1")
    saved = ComponentModel.model_validate_json(dumped.model_dump_json())
    saved.config["api_key"] = SECRET
    from_disk = OpenAIChatCompletionClient.load_component(saved)
    assert sdk_of(from_disk)._custom_headers == {"x-ours": "1"}
    await from_disk.close()


async def test_a_token_for_azure_is_no_part_of_what_is_written() -> None:
    client = AzureOpenAIChatCompletionClient(**AZURE, azure_ad_token=SECRET)
    dumped = client.dump_component()
    assert SECRET not in f"{dumped!r} {dumped.model_dump_json()}"
    again = AzureOpenAIChatCompletionClient.load_component(dumped)
    assert again._raw_config["azure_ad_token"] == SECRET
    await client.close()
    await again.close()


async def test_a_pickled_client_works_and_keeps_its_usage(make_client: MakeClient) -> None:
    client = make_client(temperature=0.5)
    messages = [UserMessage(content="hi", source="user")]
    await client.create(messages)
    again: OpenAIChatCompletionClient = pickle.loads(pickle.dumps(client))
    result = await again.create(messages)
    await again.close()
    assert result.content == "Hello"
    assert again.total_usage().prompt_tokens == 14
    assert again.dump_component() == client.dump_component()


async def test_azure_is_asked_at_the_deployment_under_our_name() -> None:
    client = AzureOpenAIChatCompletionClient(**AZURE, api_key=SECRET, default_headers={"User-Agent": "theirs"})
    sdk = sdk_of(client)
    assert str(sdk.base_url) == "https://ours.openai.azure.com/openai/deployments/our-deployment/"
    assert sdk.default_headers["User-Agent"] == f"{AZURE_OPENAI_USER_AGENT} theirs"
    assert client.dump_component().config["default_headers"] == {"User-Agent": "theirs"}
    again: AzureOpenAIChatCompletionClient = pickle.loads(pickle.dumps(client))
    assert sdk_of(again).default_headers["User-Agent"] == f"{AZURE_OPENAI_USER_AGENT} theirs"
    await client.close()
    await again.close()


async def test_azure_answers_like_openai(server: CannedServer) -> None:
    address = server.base_url.removesuffix("/v1")
    arguments: dict[str, Any] = {**AZURE, "azure_endpoint": address, "api_key": SECRET}
    client = AzureOpenAIChatCompletionClient(**arguments)
    result = await client.create([UserMessage(content="hi", source="user")])
    await client.close()
    request = server.requests[0]
    assert result.content == "Hello"
    assert request.path == "/openai/deployments/our-deployment/chat/completions?api-version=2024-06-01"
    assert request.headers["api-key"] == SECRET


class ConstantConfig(BaseModel):
    token: str


class ConstantTokens(ComponentBase[BaseModel], Component[ConstantConfig]):
    """A provider of tokens that can be saved."""

    component_type = "token_provider"
    component_config_schema = ConstantConfig

    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self) -> str:
        return self.token

    def _to_config(self) -> ConstantConfig:
        return ConstantConfig(token=self.token)

    @classmethod
    def _from_config(cls, config: ConstantConfig) -> "ConstantTokens":
        return cls(config.token)


async def test_azure_takes_tokens_of_a_component_and_saves_it(
    server: CannedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOGEN_ALLOWED_PROVIDER_NAMESPACES", ConstantTokens.__module__)
    address = server.base_url.removesuffix("/v1")
    arguments: dict[str, Any] = {**AZURE, "azure_endpoint": address, "azure_ad_token_provider": ConstantTokens("t0k")}
    client = AzureOpenAIChatCompletionClient(**arguments)
    saved = ComponentModel.model_validate_json(client.dump_component().model_dump_json())
    again = ChatCompletionClient.load_component(saved)
    for asked in (client, again):
        await asked.create([UserMessage(content="hi", source="user")])
        await asked.close()
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer t0k"] * 2


async def test_azure_cannot_save_tokens_of_a_function() -> None:
    client = AzureOpenAIChatCompletionClient(**AZURE, azure_ad_token_provider=lambda: "t0k")
    with pytest.raises(ValueError, match="must be a component"):
        client.dump_component()
    await client.close()


@pytest.mark.parametrize("kind", [OpenAIChatCompletionClient, AzureOpenAIChatCompletionClient])
def test_without_a_model_no_client_is_made(kind: type[Any]) -> None:
    with pytest.raises(ValueError, match="model is required"):
        kind(api_key=SECRET)
