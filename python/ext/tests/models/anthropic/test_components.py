"""Clients are saved and loaded as in 0.7.5, without their secrets, and travel between processes."""

import json
import pickle
import subprocess
import sys
from typing import Any

import pytest
from pydantic import SecretStr

from autogen_core import ComponentLoader
from autogen_core.models import ChatCompletionClient, LLMMessage, UserMessage
from autogen_ext.models.anthropic import (
    AnthropicBedrockChatCompletionClient,
    AnthropicChatCompletionClient,
    BaseAnthropicChatCompletionClient,
)

from .canned import CannedServer
from .conftest import KEY, MakeClient

HI: list[LLMMessage] = [UserMessage(content="hi", source="user")]
ACCOUNT: Any = {
    "aws_access_key": "AKIA-of-the-tests",
    "aws_secret_key": "secret-of-the-tests",
    "aws_session_token": "token-of-the-tests",
    "aws_region": "us-east-1",
}


def test_a_dump_has_the_form_of_before(make_client: MakeClient, server: CannedServer) -> None:
    """As 0.7.5 writes it, defaults included."""
    dump = json.loads(make_client(model="claude-3-5-sonnet-20241022").dump_component().model_dump_json())
    assert dump == {
        "provider": "autogen_ext.models.anthropic.AnthropicChatCompletionClient",
        "component_type": "model",
        "version": 1,
        "component_version": 1,
        "description": dump["description"],
        "label": "AnthropicChatCompletionClient",
        "config": {
            "model": "claude-3-5-sonnet-20241022",
            "max_tokens": 4096,
            "temperature": 1.0,
            "api_key": "**********",
            "base_url": server.base_url,
            "max_retries": 0,
        },
    }


async def test_a_saved_configuration_of_before_loads_and_works(server: CannedServer) -> None:
    config = {
        "model": "claude-opus-5-5",
        "max_tokens": 4096,
        "temperature": 1.0,
        "response_format": {"type": "json_object"},
        "metadata": {"user_id": "u"},
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "api_key": "**********",
        "base_url": server.base_url,
        "tools": [{"name": "x", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "auto"},
        "default_headers": {"x-team": "a"},
    }
    provider = "autogen_ext.models.anthropic.AnthropicChatCompletionClient"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANTHROPIC_API_KEY", KEY)
        client = ComponentLoader.load_component(
            {"provider": provider, "component_type": "model", "config": config}, ChatCompletionClient
        )
    assert isinstance(client, AnthropicChatCompletionClient)
    await client.create(HI)
    assert server.requests[0].key == KEY
    assert server.requests[0].headers["x-team"] == "a"
    assert server.body["metadata"] == {"user_id": "u"}
    assert server.body["thinking"] == {"type": "enabled", "budget_tokens": 2000}
    assert "temperature" not in server.body
    assert client.dump_component().config["tools"] == config["tools"]
    await client.close()


async def test_a_dump_in_memory_loads_with_its_key(server: CannedServer, make_client: MakeClient) -> None:
    loaded = AnthropicChatCompletionClient.load_component(make_client().dump_component())
    await loaded.create(HI)
    assert server.requests[0].key == KEY
    await loaded.close()


async def test_a_client_can_be_pickled(server: CannedServer, make_client: MakeClient) -> None:
    client = make_client()
    await client.create(HI)
    copy: AnthropicChatCompletionClient = pickle.loads(pickle.dumps(client))
    assert copy.total_usage() == client.total_usage()
    await copy.create(HI)
    assert len(server.requests) == 2
    await copy.close()


def test_no_secret_is_in_a_dump_or_a_repr(make_client: MakeClient) -> None:
    client = make_client()
    bedrock = AnthropicBedrockChatCompletionClient(model="claude-opus-5-5", bedrock_info=ACCOUNT)
    for shown in (repr(client), repr(client.dump_component()), client.dump_component().model_dump_json()):
        assert KEY not in shown
    for shown in (repr(bedrock), repr(bedrock.dump_component()), bedrock.dump_component().model_dump_json()):
        assert "of-the-tests" not in shown


def test_a_model_must_be_named() -> None:
    for make in (AnthropicChatCompletionClient, AnthropicBedrockChatCompletionClient):
        with pytest.raises(ValueError, match="model is required"):
            make(api_key="x")
    with pytest.raises(ValueError, match="model is required"):
        BaseAnthropicChatCompletionClient(None, create_args={})


def test_a_misspelt_argument_is_told(make_client: MakeClient) -> None:
    with pytest.warns(UserWarning, match="temprature"):
        make_client(temprature=0.5)


def test_the_old_form_of_abilities_is_taken_with_a_warning(make_client: MakeClient) -> None:
    old = {"vision": False, "function_calling": True, "json_output": False}
    with pytest.warns(DeprecationWarning, match="model_capabilities"):
        client = make_client(model_capabilities=old)
    with pytest.warns(DeprecationWarning, match="capabilities is deprecated"):
        assert client.capabilities["function_calling"] is True  # pyright: ignore[reportDeprecated] - what is tested
    with pytest.raises(ValueError, match="mutually exclusive"):
        make_client(model_capabilities=old, model_info=client.model_info)


def test_an_account_of_before_loads() -> None:
    saved = {name: SecretStr(value) if name != "aws_region" else value for name, value in ACCOUNT.items()}
    client = AnthropicBedrockChatCompletionClient.load_component(
        {
            "provider": "autogen_ext.models.anthropic.AnthropicBedrockChatCompletionClient",
            "component_type": "model",
            "config": {"model": "anthropic.claude-3-5-sonnet-20241022-v2:0", "bedrock_info": saved},
        }
    )
    assert client.dump_component().config["bedrock_info"] == saved


def test_an_account_that_was_saved_as_asterisks_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the region is left of it."""
    monkeypatch.delenv("AWS_REGION", raising=False)
    client = AnthropicBedrockChatCompletionClient(model="claude-opus-5-5", bedrock_info=ACCOUNT)
    saved = json.loads(client.dump_component().model_dump_json())
    loaded = AnthropicBedrockChatCompletionClient.load_component(saved)
    info = loaded.dump_component().config["bedrock_info"]
    assert info["aws_region"] == "us-east-1"
    assert info["aws_secret_key"].get_secret_value() == ""


def test_the_sdk_is_not_loaded_before_there_is_a_client() -> None:
    program = "import sys, autogen_ext.models.anthropic; print('anthropic' in sys.modules, 'boto3' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["False", "False"]
