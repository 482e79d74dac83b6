"""The client as a component: configurations of 0.7.5 load, and what is saved has their shape."""

import pickle

import ollama
import pytest

from autogen_core.models import ChatCompletionClient, UserMessage
from autogen_ext.models.ollama import OllamaChatCompletionClient
from autogen_ext.models.ollama.config import BaseOllamaClientConfigurationConfigModel

from .._shared.server import ProtocolServer
from .conftest import MakeClient, reply

SAVED = {
    "provider": "autogen_ext.models.ollama.OllamaChatCompletionClient",
    "component_type": "model",
    "version": 1,
    "component_version": 1,
    "description": "Saved by another version.",
    "label": "OllamaChatCompletionClient",
    "config": {
        "model": "llama3.1",
        "host": "http://127.0.0.1:11434",
        "follow_redirects": True,
        "timeout": 5,
        "headers": {"X-A": "1"},
        "options": {"temperature": 0.5},
    },
}
"""What AutoGen 0.7.5 saves."""


async def test_a_saved_configuration_loads_and_is_saved_alike() -> None:
    client = ChatCompletionClient.load_component(SAVED)
    assert isinstance(client, OllamaChatCompletionClient)
    assert client.get_create_args() == {"model": "llama3.1", "options": {"temperature": 0.5}}
    again = client.dump_component().model_dump(exclude_none=True)
    assert again | {"description": ""} == SAVED | {"description": ""}
    await client.close()


async def test_only_what_was_given_is_saved(make_client: MakeClient) -> None:
    client = OllamaChatCompletionClient(model="llama3.2", options=ollama.Options(seed=1))
    config = client.dump_component().config
    assert config == {"model": "llama3.2", "follow_redirects": True, "options": {"seed": 1}}
    await client.close()


async def test_create_from_config_takes_arguments_on_any_class() -> None:
    client = OllamaChatCompletionClient.create_from_config({"model": "llama3.2"})
    assert isinstance(client, OllamaChatCompletionClient)
    await client.close()


async def test_a_pickled_client_works(server: ProtocolServer, make_client: MakeClient) -> None:
    server.queue(reply("Back"))
    copy: OllamaChatCompletionClient = pickle.loads(pickle.dumps(make_client(options={"seed": 3})))
    result = await copy.create([UserMessage(content="hi", source="user")])
    assert result.content == "Back"
    assert server.requests[0].body["options"] == {"seed": 3}
    await copy.close()


def test_a_model_is_needed() -> None:
    with pytest.raises(ValueError, match="model is required for OllamaChatCompletionClient"):
        OllamaChatCompletionClient()


async def test_parameters_of_models_move_to_options_and_unknown_arguments_are_warned_of() -> None:
    with pytest.warns(UserWarning, match="Unknown arguments are ignored: temprature"):
        client = OllamaChatCompletionClient(model="llama3.2", temperature=1, temprature=1)  # pyright: ignore[reportCallIssue] - what the SDK takes beyond the contract
    assert client.get_create_args() == {"model": "llama3.2", "options": {"temperature": 1}}
    await client.close()


async def test_model_capabilities_are_still_understood() -> None:
    able = {"vision": True, "function_calling": False, "json_output": False}
    with pytest.warns(DeprecationWarning, match="model_capabilities is deprecated"):
        client = OllamaChatCompletionClient(model="llama3.2", model_capabilities=able)  # pyright: ignore[reportArgumentType] - plain dict
    assert client.model_info["vision"] is True
    with pytest.warns(DeprecationWarning, match="use model_info"):
        assert client.capabilities == client.model_info
    await client.close()


def test_the_saved_form_has_the_fields_of_0_7_5() -> None:
    assert set(BaseOllamaClientConfigurationConfigModel.model_fields) == {
        "model", "host", "response_format", "follow_redirects", "timeout", "headers",
        "model_capabilities", "model_info", "options",
    }  # fmt: skip
