"""Claude on Bedrock, against a server that replays `InvokeModel` and `InvokeModelWithResponseStream`.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html,
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModelWithResponseStream.html and
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html
"""

from collections.abc import AsyncGenerator
from typing import Any

import anthropic
import pytest

from autogen_core import FunctionCall
from autogen_core.models import LLMMessage, RequestUsage, UserMessage
from autogen_core.tools import FunctionTool
from autogen_ext.models import errors
from autogen_ext.models.anthropic import AnthropicBedrockChatCompletionClient, MissingApiKeyError

from .canned import CannedServer, Reply, events_of, exception_frame, frames, message, text, tool_use
from .conftest import Whole

HI: list[LLMMessage] = [UserMessage(content="hi", source="user")]
MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
ACCOUNT: Any = {
    "aws_access_key": "AKIAIOSFODNN7EXAMPLE",
    "aws_secret_key": "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY",
    "aws_session_token": "FwoGZXIvYXdzEXAMPLETOKEN",
    "aws_region": "us-west-2",
}


def add(a: int) -> int:
    """Add nothing."""
    return a


ADD = FunctionTool(add, "Adds.", name="add")


@pytest.fixture
async def client(server: CannedServer) -> AsyncGenerator[AnthropicBedrockChatCompletionClient, None]:
    made = AnthropicBedrockChatCompletionClient(
        model=MODEL, bedrock_info=ACCOUNT, base_url=server.base_url, max_retries=0
    )
    yield made
    await made.close()


def reply(ask: Whole, *blocks: Any, stop: str = "end_turn") -> Any:
    return frames(*events_of(*blocks, stop=stop)) if ask.streams else message(*blocks, stop=stop)


async def test_the_model_is_invoked_with_a_signed_request(
    server: CannedServer, client: AnthropicBedrockChatCompletionClient, ask: Whole
) -> None:
    """API_runtime_InvokeModel, and the page on signing: Signature Version 4."""
    server.queue(reply(ask, text()))
    result = await ask(client, HI)
    request = server.requests[0]
    path = request.path.replace("%3A", ":")
    assert path == f"/model/{MODEL}/invoke{'-with-response-stream' if ask.streams else ''}"
    assert request.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/")
    assert "/us-west-2/bedrock/aws4_request" in request.headers["authorization"]
    assert request.headers["x-amz-security-token"] == ACCOUNT["aws_session_token"]
    assert request.body == {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": "hi"}],
    }
    assert (result.content, result.usage) == ("Hello!", RequestUsage(prompt_tokens=7, completion_tokens=3))
    assert "".join(ask.pieces) == ("Hello!" if ask.streams else "")


async def test_tools_are_called(server: CannedServer, client: AnthropicBedrockChatCompletionClient, ask: Whole) -> None:
    server.queue(reply(ask, tool_use(), stop="tool_use"))
    result = await ask(client, HI, tools=[ADD], extra_create_args={"temperature": 0.5})
    assert result.content == [FunctionCall(tool_use()["id"], '{"a": 1}', "add")]
    assert server.body["tools"][0]["name"] == "add"
    assert server.body["temperature"] == 0.5


@pytest.mark.parametrize(
    ("status", "kind", "ours", "theirs"),
    [
        (429, "ThrottlingException", errors.RateLimitedError, anthropic.RateLimitError),
        (403, "UnrecognizedClientException", errors.AuthenticationError, anthropic.PermissionDeniedError),
        (503, "ServiceUnavailableException", errors.ServerError, anthropic.InternalServerError),
        (400, "ValidationException", errors.ModelClientError, anthropic.BadRequestError),
    ],
)
async def test_an_error_of_bedrock_is_one_of_ours(
    server: CannedServer,
    client: AnthropicBedrockChatCompletionClient,
    ask: Whole,
    status: int,
    kind: str,
    ours: type[errors.ModelClientError],
    theirs: type[Exception],
) -> None:
    """API_runtime_InvokeModel#API_runtime_InvokeModel_Errors, and CommonErrors of the same reference."""
    words = f"No. ({ACCOUNT['aws_secret_key']})"
    server.queue(Reply(body={"message": words}, status=status, headers={"x-amzn-errortype": kind}))
    with pytest.raises(ours) as caught:
        await ask(client, HI)
    assert isinstance(caught.value, theirs)
    assert caught.value.provider == "aws.bedrock"
    assert ACCOUNT["aws_secret_key"] not in f"{caught.value!r}{vars(caught.value)}"
    if isinstance(caught.value, errors.AuthenticationError):
        assert "bedrock_info" in caught.value.setting


async def test_too_long_an_input_is_known_without_numbers(
    server: CannedServer, client: AnthropicBedrockChatCompletionClient, ask: Whole
) -> None:
    """API_runtime_InvokeModel#API_runtime_InvokeModel_Errors: ValidationException."""
    server.queue(Reply(body={"message": "Input is too long for requested model."}, status=400))
    with pytest.raises(errors.ContextLengthError):
        await ask(client, HI)


async def test_a_failure_within_a_stream_is_an_error(
    server: CannedServer, client: AnthropicBedrockChatCompletionClient
) -> None:
    """API_runtime_ResponseStream: throttlingException."""
    begun = frames(*events_of(text())[:4])
    assert begun.parts is not None
    begun.parts = [*begun.parts, exception_frame("throttlingException", "Too many requests")]
    server.queue(begun)
    with pytest.raises(errors.RateLimitedError):
        assert [item async for item in client.create_stream(HI)]


async def test_missing_credentials_are_told(
    server: CannedServer, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    made = AnthropicBedrockChatCompletionClient(model=MODEL, base_url=server.base_url, max_retries=0)
    with pytest.raises(MissingApiKeyError, match="AWS_ACCESS_KEY_ID"):
        await made.create(HI)
    await made.close()
