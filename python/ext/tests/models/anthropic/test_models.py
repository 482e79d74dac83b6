"""Names of models are known in the spellings of all hosts; what is not known chats all the same.

https://platform.claude.com/docs/en/models/overview and
https://docs.aws.amazon.com/bedrock/latest/userguide/models-supported.html
"""

import warnings

import pytest

from autogen_core.models import LLMMessage, ModelFamily, UserMessage
from autogen_core.tools import FunctionTool
from autogen_ext.models.anthropic._models import MODELS, context_of, follows_schemas, info_of, resolve

from .canned import CannedServer
from .conftest import MakeClient

HI: list[LLMMessage] = [UserMessage(content="hi", source="user")]


def add(a: int) -> int:
    """Add nothing."""
    return a


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("claude-opus-5-5", "claude-opus-5-5"),
        ("claude-3-5-sonnet-20241022", "claude-3-5-sonnet"),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet"),
        ("claude-sonnet-4-0", "claude-sonnet-4"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("claude-haiku-4-5@20251001", "claude-haiku-4-5"),
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("global.anthropic.claude-opus-4-6-v1", "claude-opus-4-6"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-3-haiku-20240307-v1:0",
            "claude-3-haiku",
        ),
        ("openrouter/anthropic/claude-opus-4-1", "claude-opus-4-1"),
        ("claude-novelty-9", "claude-novelty-9"),
        ("my-model", "my-model"),
    ],
)
def test_a_name_is_that_of_the_model_behind_it(name: str, known: str) -> None:
    assert resolve(name) == known


def test_abilities_families_and_contexts_come_from_the_table() -> None:
    assert info_of("claude-3-5-sonnet-20241022") == {
        "vision": True,
        "function_calling": True,
        "json_output": True,
        "family": ModelFamily.CLAUDE_3_5_SONNET,
        "structured_output": True,
        "multiple_system_messages": False,
    }
    assert context_of("claude-opus-5-5") == 1_000_000
    assert context_of("claude-haiku-4-5") == 200_000
    assert follows_schemas("claude-sonnet-4-5")
    assert not follows_schemas("claude-sonnet-4-0")
    assert all(ModelFamily.is_claude(model.family) for model in MODELS.values())


async def test_an_unknown_model_chats_and_uses_tools_with_one_warning(
    server: CannedServer, make_client: MakeClient
) -> None:
    with pytest.warns(UserWarning, match="'novelty-1' is not known.*model_info"):
        client = make_client(model="novelty-1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_client(model="novelty-1")
    assert client.model_info["vision"] is False
    assert client.model_info["family"] == ModelFamily.UNKNOWN
    assert (await client.create(HI, tools=[FunctionTool(add, "Adds.")])).content == "Hello!"
    assert server.body["model"] == "novelty-1"
    assert client.remaining_tokens(HI) < 100_000


async def test_what_the_user_says_about_a_model_wins(make_client: MakeClient) -> None:
    info = {**info_of("claude-opus-5-5"), "function_calling": False, "family": "mine"}
    client = make_client(model_info=info)
    assert client.model_info == info
    with pytest.raises(ValueError, match="function calling"):
        await client.create(HI, tools=[FunctionTool(add, "Adds.")])
