"""What a call used, with the details that a connector passes on."""

import pytest

from autogen_core.models import CreateResult, RequestUsage, UserMessage
from autogen_ext.models.middleware import DetailedUsage

from .._shared.server import ProtocolServer
from .conftest import USAGE, MakeClient, chunk, completion, sse

REPORTED = {
    "prompt_tokens": 205,
    "completion_tokens": 50,
    "total_tokens": 255,
    "prompt_tokens_details": {"cached_tokens": 128},
    "completion_tokens_details": {"reasoning_tokens": 32},
}
"""See https://platform.openai.com/docs/api-reference/chat/object."""


@pytest.mark.parametrize("streamed", [False, True])
async def test_cached_and_reasoning_tokens_are_reported(
    server: ProtocolServer, make_client: MakeClient, streamed: bool
) -> None:
    client = make_client()
    hi = [UserMessage(content="hi", source="user")]
    if streamed:
        server.queue(sse(chunk({"content": "Hello"}), chunk(finish="stop"), {**USAGE, "usage": REPORTED}))
        [*_, result] = [item async for item in client.create_stream(hi)]
        assert isinstance(result, CreateResult)
    else:
        server.queue({**completion(), "usage": REPORTED})
        result = await client.create(hi)
    assert result.usage == DetailedUsage(205, 50, cached_tokens=128, reasoning_tokens=32)
    assert client.total_usage() == RequestUsage(205, 50)
