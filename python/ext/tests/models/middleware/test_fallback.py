"""Where one model fails, the next is asked."""

import pytest

from autogen_core.models import ModelInfo, RequestUsage
from autogen_ext.models.errors import AuthenticationError, ContextLengthError, ServerError
from autogen_ext.models.middleware import FallbackClient, RetryClient

from .kit import HI, ScriptedClient, VirtualTime, bad_key, rate_limited, read, result, server_error


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_next_model_answers_where_the_first_fails(streamed: bool) -> None:
    first, second = ScriptedClient([server_error()]), ScriptedClient([result("Second.")])
    client = FallbackClient([first, second])
    if streamed:
        assert await read(client) == ["Second.", result("Second.")]
    else:
        assert await client.create(HI) == result("Second.")
    assert (len(first.calls), len(second.calls)) == (1, 1)


async def test_the_fallback_is_used_after_n_attempts() -> None:
    time = VirtualTime()
    first, second = ScriptedClient(then=rate_limited(1)), ScriptedClient()
    client = FallbackClient([RetryClient(first, max_attempts=3, clock=time.clock), second])
    assert await time.run(client.create(HI)) == [result()]
    assert (len(first.calls), len(second.calls)) == (3, 1)


async def test_each_call_begins_with_the_preferred_model() -> None:
    first, second = ScriptedClient([server_error()]), ScriptedClient()
    client = FallbackClient([first, second])
    await client.create(HI)
    await client.create(HI)
    assert (len(first.calls), len(second.calls)) == (2, 1)


async def test_a_conversation_too_long_for_one_model_goes_to_the_next() -> None:
    assert await FallbackClient([ScriptedClient([ContextLengthError("long")]), ScriptedClient()]).create(HI) == result()


async def test_a_refused_key_is_not_hidden_by_the_fallback() -> None:
    second = ScriptedClient()
    with pytest.raises(AuthenticationError):
        await FallbackClient([ScriptedClient([bad_key()]), second]).create(HI)
    assert not second.calls


async def test_a_stream_does_not_change_models_once_a_piece_was_handed_on() -> None:
    second = ScriptedClient()
    stream = FallbackClient([ScriptedClient([["Hel", server_error()]]), second]).create_stream(HI)
    assert await anext(stream) == "Hel"
    with pytest.raises(ServerError):
        await anext(stream)
    assert not second.calls


async def test_if_all_fail_the_last_error_tells_of_the_others() -> None:
    last = server_error()
    with pytest.raises(ServerError) as caught:
        await FallbackClient([ScriptedClient([rate_limited()]), ScriptedClient([last])]).create(HI)
    assert caught.value is last
    assert caught.value.__notes__ == ["Model 1 of 2 had failed before: RateLimitedError: slow down"]


async def test_the_models_can_what_all_of_them_can_and_usage_is_the_sum() -> None:
    blind = ModelInfo(vision=False, function_calling=True, json_output=True, family="x", structured_output=False)
    client = FallbackClient([ScriptedClient(), ScriptedClient(info=blind)])
    await client.create(HI)
    assert client.model_info == {**blind, "family": "unknown"}
    assert client.actual_usage() == RequestUsage(prompt_tokens=1, completion_tokens=2)
    assert client.total_usage() == RequestUsage(prompt_tokens=10, completion_tokens=20)
    assert client.remaining_tokens(HI) == 99


async def test_closing_closes_all_also_if_one_cannot_be_closed() -> None:
    class Stuck(ScriptedClient):
        async def close(self) -> None:
            raise OSError("stuck")

    last = ScriptedClient()
    with pytest.raises(ExceptionGroup, match="could not be closed"):
        await FallbackClient([Stuck(), last]).close()
    assert last.is_closed


def test_nobody_to_ask_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a client"):
        FallbackClient([])
