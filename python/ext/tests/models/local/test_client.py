"""The client on the real engine and the real default model: text, streams, JSON, usage, cancellation, configuration."""

import asyncio
import json
import logging
from contextlib import aclosing
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel, Field

from autogen_core import CancellationToken, Image
from autogen_core.logging import LLMCallEvent, LLMStreamEndEvent, LLMStreamStartEvent
from autogen_core.models import ChatCompletionClient, CreateResult, RequestUsage, SystemMessage, UserMessage
from autogen_ext.models import errors
from autogen_ext.models.local import ContextLengthError, LocalChatCompletionClient, LocalModelError, NotGgufError
from autogen_ext.models.local._encode import encode_request
from autogen_ext.models.local._engine import Engine

from .kit import WEATHER, becomes_busy, becomes_idle, text_of, user


async def test_a_question_is_answered(client: LocalChatCompletionClient) -> None:
    result = await client.create([user("What is the capital of France?")])
    assert "Paris" in text_of(result)
    assert result.finish_reason == "stop"
    assert not result.cached


async def test_the_answer_is_the_same_each_time(client: LocalChatCompletionClient) -> None:
    messages = [SystemMessage(content="Answer briefly."), user("Name a colour.")]
    answers = {text_of(await client.create(messages)) for _ in range(3)}
    assert len(answers) == 1


async def test_a_stream_yields_pieces_and_then_the_whole(client: LocalChatCompletionClient) -> None:
    items = [item async for item in client.create_stream([user("What is the capital of France?")])]
    *pieces, result = items
    assert isinstance(result, CreateResult)
    assert len(pieces) > 1
    assert "".join(piece for piece in pieces if isinstance(piece, str)) == result.content
    assert result.usage.completion_tokens >= len(pieces)


async def test_an_answer_that_reaches_its_limit_says_so(client: LocalChatCompletionClient) -> None:
    result = await client.create([user("Write a long story.")], extra_create_args={"max_tokens": 5})
    assert result.finish_reason == "length"
    assert result.usage.completion_tokens == 5


async def test_usage_adds_up_over_finished_requests(client: LocalChatCompletionClient) -> None:
    assert client.total_usage() == RequestUsage(prompt_tokens=0, completion_tokens=0)
    first = await client.create([user("Hi")], extra_create_args={"max_tokens": 4})
    *_, second = [item async for item in client.create_stream([user("Hi")], extra_create_args={"max_tokens": 4})]
    assert isinstance(second, CreateResult)
    assert first.usage.prompt_tokens > 4
    assert client.total_usage() == client.actual_usage()
    assert client.total_usage().prompt_tokens == first.usage.prompt_tokens + second.usage.prompt_tokens
    assert client.total_usage().completion_tokens == first.usage.completion_tokens + second.usage.completion_tokens


async def test_tokens_are_counted_as_the_engine_counts_them(client: LocalChatCompletionClient) -> None:
    messages = [SystemMessage(content="Answer briefly."), user("Wie spät ist es in São Paulo?")]
    result = await client.create(messages, extra_create_args={"max_tokens": 1})
    assert client.count_tokens(messages) == result.usage.prompt_tokens
    assert client.count_tokens([]) == 0
    assert client.remaining_tokens(messages) == 4096 - result.usage.prompt_tokens
    called = await client.create([user("What is the weather in Oslo?")], tools=[WEATHER])
    assert client.count_tokens([user("What is the weather in Oslo?")], tools=[WEATHER]) == called.usage.prompt_tokens


async def test_a_seed_makes_chance_repeatable(client: LocalChatCompletionClient) -> None:
    async def told(seed: int) -> str:
        return text_of(
            await client.create(
                [user("Tell me a story.")], extra_create_args={"seed": seed, "temperature": 1.5, "max_tokens": 16}
            )
        )

    assert await told(1) == await told(1)
    assert len({await told(seed) for seed in range(2, 6)}) > 1


async def test_a_stop_word_ends_the_answer(client: LocalChatCompletionClient) -> None:
    messages = [user("What is the capital of France?")]
    result = await client.create(messages, extra_create_args={"stop": ["Paris"]})
    assert "Paris" not in text_of(result)


class Person(BaseModel):
    name: str
    age: int = Field(ge=0, le=120)
    role: str | None
    tags: list[str]


async def test_structured_output_fits_its_class(client: LocalChatCompletionClient) -> None:
    result = await client.create([user("Make up a person.")], json_output=Person, extra_create_args={"max_tokens": 700})
    person = Person.model_validate_json(text_of(result))
    assert person.name.strip()


async def test_json_mode_gives_an_object(client: LocalChatCompletionClient) -> None:
    pieces = client.create_stream(
        [user('Write {"colour": "red"} as JSON.')], json_output=True, extra_create_args={"max_tokens": 200}
    )
    *_, result = [piece async for piece in pieces]
    assert isinstance(result, CreateResult)
    if result.finish_reason == "stop":
        assert isinstance(json.loads(text_of(result)), dict)
    else:
        assert text_of(result).startswith("{")


async def test_a_closed_stream_stops_the_engine(client: LocalChatCompletionClient, engine: Engine) -> None:
    async with aclosing(
        client.create_stream([user("Write a long story.")], extra_create_args={"max_tokens": 900})
    ) as s:
        async for _ in s:
            break
    await becomes_idle(engine)
    assert client.total_usage().completion_tokens == 0


async def test_a_cancelled_token_stops_a_request(client: LocalChatCompletionClient, engine: Engine) -> None:
    token = CancellationToken()
    waiting = asyncio.ensure_future(
        client.create([user("Write a long story.")], cancellation_token=token, extra_create_args={"max_tokens": 900})
    )
    await becomes_busy(engine)
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await becomes_idle(engine)


async def test_a_cancelled_token_stops_a_stream(client: LocalChatCompletionClient, engine: Engine) -> None:
    token = CancellationToken()
    stream = client.create_stream(
        [user("Write a long story.")], cancellation_token=token, extra_create_args={"max_tokens": 900}
    )
    assert isinstance(await anext(stream), str)
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await anext(stream)
    await becomes_idle(engine)


async def test_a_token_that_is_cancelled_already_starts_nothing(client: LocalChatCompletionClient) -> None:
    token = CancellationToken()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client.create([user("Hi")], cancellation_token=token)


async def test_a_cancelled_task_stops_the_engine(client: LocalChatCompletionClient, engine: Engine) -> None:
    task = asyncio.ensure_future(client.create([user("Write a long story.")], extra_create_args={"max_tokens": 900}))
    await becomes_busy(engine)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await becomes_idle(engine)


async def test_requests_at_the_same_time_do_not_mix(client: LocalChatCompletionClient) -> None:
    questions = {"What is the capital of France?": "Paris", "What is the capital of Italy?": "Rome"}
    results = await asyncio.gather(*(client.create([user(question)]) for question in list(questions) * 2))
    for result, expected in zip(results, list(questions.values()) * 2, strict=True):
        assert expected in text_of(result)


async def test_a_conversation_longer_than_the_context_is_refused(client: LocalChatCompletionClient) -> None:
    with pytest.raises(errors.ContextLengthError, match="4096") as caught:
        await client.create([user("word " * 5000)])
    assert isinstance(caught.value, ContextLengthError)
    assert caught.value.provider == "local"
    assert caught.value.limit == 4096
    assert (caught.value.requested or 0) > 5000
    assert client.remaining_tokens([user("word " * 5000)]) < 0


async def test_what_a_local_model_cannot_do_is_refused_before_anything_is_computed() -> None:
    client = LocalChatCompletionClient()
    image = Image.from_base64(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
    )
    with pytest.raises(ValueError, match="image"):
        await client.create([UserMessage(content=["Look:", image], source="user")])
    with pytest.raises(ValueError, match="There are no messages"):
        await client.create([])
    with pytest.raises(ValueError, match="extra_create_args cannot set tools"):
        await client.create([user("Hi")], extra_create_args={"tools": []})


@pytest.mark.parametrize("wrong", [{"n_ctx": 0}, {"n_threads": 0}, {"max_tokens": -1}, {"temperature": -0.1}])
def test_numbers_out_of_their_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LocalChatCompletionClient(**wrong)


async def test_what_the_engine_refuses_is_a_typed_error(client: LocalChatCompletionClient) -> None:
    with pytest.raises(LocalModelError, match="refused"):
        await client.create([user("Hi")], extra_create_args={"temperature": "hot"})


async def test_a_client_can_be_used_again_after_it_was_closed(client: LocalChatCompletionClient) -> None:
    await client.close()
    await client.close()
    assert text_of(await client.create([user("Hi")], extra_create_args={"max_tokens": 3}))


async def test_calls_and_streams_are_logged_as_events(
    client: LocalChatCompletionClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="autogen_core.events"):
        result = await client.create([user("Hi")], extra_create_args={"max_tokens": 3})
        async for _ in client.create_stream([user("Hi")], extra_create_args={"max_tokens": 3}):
            pass
    events = [record.msg for record in caplog.records]
    assert [type(event) for event in events] == [LLMCallEvent, LLMStreamStartEvent, LLMStreamEndEvent]
    assert json.loads(str(events[0]))["prompt_tokens"] == result.usage.prompt_tokens


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_call_is_a_span_with_what_it_used(
    client: LocalChatCompletionClient, monkeypatch: pytest.MonkeyPatch, streamed: bool
) -> None:
    exporter, tracers = InMemorySpanExporter(), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: tracers)
    if streamed:
        *_, last = [item async for item in client.create_stream([user("Hi")], extra_create_args={"max_tokens": 3})]
        assert isinstance(last, CreateResult)
    else:
        last = await client.create([user("Hi")], extra_create_args={"max_tokens": 3})
    [span] = exporter.get_finished_spans()
    facts = dict(span.attributes or {})
    assert span.name.startswith("chat SmolLM2")
    assert facts["gen_ai.provider.name"] == "local"
    assert facts["gen_ai.request.max_tokens"] == 3
    assert facts["gen_ai.usage.input_tokens"] == last.usage.prompt_tokens
    assert facts["gen_ai.usage.output_tokens"] == 3
    assert ("gen_ai.response.time_to_first_chunk" in facts) is streamed
    tracers.shutdown()


def test_whether_several_tools_may_be_called_is_no_field_of_the_engines_request() -> None:
    several = {"parallel_tool_calls": True, "seed": 1}
    request = encode_request([user("Hi")], [WEATHER], "auto", None, several)
    assert request.parallel
    assert request.sampling == {"seed": 1}
    assert not encode_request([user("Hi")], [], "auto", None, several).parallel


def test_a_configuration_makes_an_equal_client() -> None:
    client = LocalChatCompletionClient(n_ctx=1024, temperature=0.5, seed=7, tool_calling="schema", max_tokens=99)
    dumped = client.dump_component()
    assert dumped.provider == "autogen_ext.models.local.LocalChatCompletionClient"
    assert dumped.component_type == "model"
    assert dumped.config == {
        "n_ctx": 1024,
        "temperature": 0.5,
        "seed": 7,
        "tool_calling": "schema",
        "max_tokens": 99,
    }
    loaded = ChatCompletionClient.load_component(json.loads(dumped.model_dump_json()))
    assert isinstance(loaded, LocalChatCompletionClient)
    assert loaded.dump_component() == dumped


def test_a_configuration_names_its_file() -> None:
    with pytest.raises(NotGgufError):
        LocalChatCompletionClient.load_component(
            {
                "provider": "autogen_ext.models.local.LocalChatCompletionClient",
                "config": {"model": __file__},
            }
        )


def test_the_model_does_everything_but_images() -> None:
    client = LocalChatCompletionClient()
    info = client.model_info
    assert (info["vision"], info["function_calling"], info["json_output"], info["structured_output"]) == (
        False,
        True,
        True,
        True,
    )
    with pytest.warns(DeprecationWarning, match="model_info"):
        assert client.capabilities["json_output"]  # pyright: ignore[reportDeprecated] - this is its test
