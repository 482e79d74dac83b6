"""What was recorded replays: the same bytes, without a model."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import TaskResult
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import FunctionCall
from autogen_core.models import CreateResult, LLMMessage, SystemMessage
from autogen_ext.models.errors import ContextLengthError, RateLimitedError
from autogen_ext.models.middleware import (
    CassetteClient,
    CassetteMismatchError,
    DetailedUsage,
    RecordedError,
    RetryClient,
    failure_of,
)
from autogen_ext.models.replay import ReplayChatCompletionClient

from .kit import HANG, HI, INFO, ScriptedClient, VirtualTime, rate_limited, read, result

NEW_EACH_TIME = {"id", "created_at", "full_message_id"}
THERE: list[LLMMessage] = [SystemMessage(content="there")]


async def run_team(client: Any) -> bytes:
    """A team of two with a tool, streamed; what it says, without the ids and times that differ in each run."""

    async def add(first: int, second: int) -> int:
        """Add two numbers."""
        return first + second

    ann = AssistantAgent("ann", client, tools=[add], model_client_stream=True, reflect_on_tool_use=True)
    bob = AssistantAgent("bob", client)
    team = RoundRobinGroupChat([ann, bob], termination_condition=MaxMessageTermination(4))
    said = [item async for item in team.run_stream(task="What is 2 + 3?") if not isinstance(item, TaskResult)]
    return "\n".join(item.model_dump_json(exclude=NEW_EACH_TIME) for item in said).encode()


async def test_a_recorded_run_replays_byte_equal_offline(tmp_path: Path) -> None:
    call = FunctionCall(id="1", name="add", arguments='{"first": 2, "second": 3}')
    usage = DetailedUsage(prompt_tokens=8, completion_tokens=4, cached_tokens=2)
    wants = CreateResult(finish_reason="function_calls", content=[call], usage=usage, cached=False, thought="Add them.")
    model = ReplayChatCompletionClient([wants, "It is fünf.", "Right.", "Anything else?"], INFO)
    first = await run_team(CassetteClient(model, tmp_path / "run.jsonl"))
    nobody = ReplayChatCompletionClient([], INFO)
    player = CassetteClient(nobody, tmp_path / "run.jsonl")
    assert await run_team(CassetteClient(player, tmp_path / "again.jsonl")) == first
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "run.jsonl").read_bytes()
    assert player.unused == 0
    assert not nobody.create_calls


async def test_results_streams_and_errors_come_back_as_they_were(tmp_path: Path) -> None:
    error = ContextLengthError("too long")
    error.limit, error.requested, error.provider, error.status = 8192, 9000, "openai", 400
    call = FunctionCall(id="1", name="f", arguments="{}")
    vars(call)["provider_data"] = {  # as clients attach it
        "openai": {"signature": "s"}
    }
    details = DetailedUsage(prompt_tokens=9, completion_tokens=8, cached_tokens=7, reasoning_tokens=6)
    script = [
        result("plain"),
        result(content=[call], usage=details, thought="because", finish_reason="function_calls"),
        ["a", "ä ", result("aä ")],
        error,
        ["a", rate_limited(2.5)],
    ]

    async def session(client: CassetteClient) -> list[object]:
        seen: list[object] = [await client.create(HI), await client.create(THERE), await read(client)]
        with pytest.raises(ContextLengthError) as too_long:
            await client.create(HI)
        seen.append((str(too_long.value), vars(too_long.value)))
        stream = client.create_stream(HI)
        seen.append(await anext(stream))
        with pytest.raises(RateLimitedError) as limited:
            await anext(stream)
        return [*seen, (str(limited.value), limited.value.retry_after)]

    recorded = await session(CassetteClient(ScriptedClient(list(script)), tmp_path / "c.jsonl", mode="record"))
    replayed = await session(CassetteClient(ScriptedClient([]), tmp_path / "c.jsonl", mode="replay"))
    assert replayed == recorded
    second = cast("CreateResult", replayed[1])
    assert second.usage == details
    assert cast("list[FunctionCall]", second.content)[0].provider_data == {"openai": {"signature": "s"}}


async def test_a_failure_without_a_class_of_its_own_keeps_its_kind(tmp_path: Path) -> None:
    """So middleware above does the same when it is replayed: here it repeats the call."""
    path, time = tmp_path / "c.jsonl", VirtualTime()
    recorder = CassetteClient(ScriptedClient([TimeoutError("late"), result()]), path)
    await time.run(RetryClient(recorder, clock=time.clock).create(HI))
    player = CassetteClient(ScriptedClient(), path)
    assert await time.run(RetryClient(player, clock=time.clock).create(HI)) == [result()]
    with pytest.raises(RecordedError) as caught:
        await CassetteClient(ScriptedClient(), path).create(HI)
    assert (str(caught.value), caught.value.type_name) == ("late", "TimeoutError")
    assert failure_of(caught.value).kind == "connection"


async def test_equal_calls_get_their_answers_in_the_order_of_recording(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    recorder = CassetteClient(ScriptedClient(["one", "two"]), path)
    await recorder.create(HI)
    await recorder.create(HI)
    player = CassetteClient(ScriptedClient(), path)
    assert [(await player.create(HI)).content for _ in range(2)] == ["one", "two"]
    with pytest.raises(CassetteMismatchError, match="more often than it was recorded"):
        await player.create(HI)


async def test_different_calls_may_come_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    recorder = CassetteClient(ScriptedClient(["hi", "there"]), path)
    await recorder.create(HI)
    await recorder.create(THERE)
    player = CassetteClient(ScriptedClient(), path)
    assert (await player.create(THERE)).content == "there"
    assert (await player.create(HI)).content == "hi"


async def test_what_was_not_recorded_is_told_and_not_asked(tmp_path: Path) -> None:
    path, nobody = tmp_path / "c.jsonl", ScriptedClient()
    await CassetteClient(ScriptedClient(), path).create(HI)
    player = CassetteClient(nobody, path)
    with pytest.raises(CassetteMismatchError, match=r"'c.jsonl': This call was not recorded; 1 others are left.*there"):
        await player.create(THERE)
    with pytest.raises(CassetteMismatchError, match="streamed, and was recorded otherwise"):
        await read(player)
    with pytest.raises(CassetteMismatchError):
        await player.create(HI, extra_create_args={"seed": 1})
    assert not nobody.calls


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_call_that_was_given_up_replays_up_to_there(tmp_path: Path, streamed: bool) -> None:
    path = tmp_path / "c.jsonl"
    recorder = CassetteClient(ScriptedClient([["a", "b", HANG] if streamed else HANG]), path)
    if streamed:
        stream = recorder.create_stream(HI)
        assert [await anext(stream), await anext(stream)] == ["a", "b"]
        await stream.aclose()
    else:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(recorder.create(HI), 0.01)
    player = CassetteClient(ScriptedClient(), path)
    again = player.create_stream(HI)
    if streamed:
        assert [await anext(again), await anext(again)] == ["a", "b"]
    with pytest.raises(CassetteMismatchError, match="did not wait for the rest"):
        await (anext(again) if streamed else player.create(HI))


async def test_a_finished_stream_is_in_the_file_before_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    recorder = CassetteClient(ScriptedClient([["a", result("a"), HANG]]), path)
    stream = recorder.create_stream(HI)
    assert [await anext(stream), await anext(stream)] == ["a", result("a")]
    assert await read(CassetteClient(ScriptedClient(), path)) == ["a", result("a")]
    await stream.aclose()
    assert CassetteClient(ScriptedClient(), path).unused == 1


async def test_no_key_of_the_callers_headers_is_written_down(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    secret = {"extra_headers": {"authorization": "sk-secret"}, "seed": 1}
    await CassetteClient(ScriptedClient(), path).create(HI, extra_create_args=secret)
    assert "sk-secret" not in path.read_text(encoding="utf-8")
    assert await CassetteClient(ScriptedClient(), path).create(HI, extra_create_args={"seed": 1}) == result()


async def test_recording_begins_the_file_anew(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "c.jsonl"
    for _ in range(2):
        await CassetteClient(ScriptedClient(), path, mode="record").create(HI)
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2


def test_a_file_that_is_no_cassette_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    for text, problem in (("", ""), ('{"cassette": 9}', "its form is 9"), ('{"cassette": 1}\n{"request"', "")):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=f"no cassette that can be read: line .*{problem}"):
            CassetteClient(ScriptedClient(), path)
    with pytest.raises(FileNotFoundError):
        CassetteClient(ScriptedClient(), tmp_path / "none", mode="replay")


async def test_clients_that_record_into_one_file_share_it(tmp_path: Path) -> None:
    """So a team that was saved with one cassette and loaded, each agent with its own client, still has one."""
    path = tmp_path / "c.jsonl"
    first, second = (CassetteClient(ScriptedClient([answer]), path) for answer in ("one", "two"))
    await first.create(HI)
    await second.create(THERE)
    player = CassetteClient(ScriptedClient(), path)
    assert [(await player.create(each)).content for each in (HI, THERE)] == ["one", "two"]
    third = CassetteClient(ScriptedClient(["three"]), path, mode="record")
    await third.create(THERE)
    assert CassetteClient(ScriptedClient(), path).unused == 3


async def test_after_closing_a_recording_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    first = CassetteClient(ScriptedClient(["one"]), path, mode="record")
    await first.create(HI)
    await first.close()
    await CassetteClient(ScriptedClient(["two"]), path, mode="record").create(HI)
    assert (await CassetteClient(ScriptedClient(), path, mode="replay").create(HI)).content == "two"
