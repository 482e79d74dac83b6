"""What holds between a host and workers that are processes of their own."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from autogen_core import AgentId
from autogen_core.exceptions import DeadlineExceededError, RemoteError, UndeliverableException
from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntime, GrpcWorkerAgentRuntimeHost

from .agents import Word, knows_messages, speak, speaker, until
from .processes import host_process, keepalive, worker_process

NewWorker = Callable[..., Awaitable[GrpcWorkerAgentRuntime]]
FAR = AgentId("far", "default")

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address() -> AsyncIterator[str]:
    """A host process with a worker process that hosts `far`."""
    async with host_process() as (_, address), worker_process(address, "far"):
        yield address


@pytest_asyncio.fixture(loop_scope="module")
async def near(address: str) -> AsyncIterator[GrpcWorkerAgentRuntime]:
    runtime = knows_messages(GrpcWorkerAgentRuntime(address))
    await runtime.start()
    yield runtime
    await runtime.close()


async def test_an_error_says_what_and_where_it_was(near: GrpcWorkerAgentRuntime) -> None:
    with pytest.raises(KeyError, match="boom") as caught:
        await near.send_message(Word("fail"), FAR)
    error = caught.value
    assert isinstance(error, RemoteError)
    assert error.type_name == "builtins.KeyError"
    assert error.text == "'boom'"
    assert "agents.py" in error.traceback
    assert 'raise KeyError("boom")' in error.traceback
    assert error.recipient == FAR
    assert any('raise KeyError("boom")' in note for note in error.__notes__)


async def test_a_timeout_of_half_a_second_takes_half_a_second(near: GrpcWorkerAgentRuntime) -> None:
    clock = asyncio.get_running_loop().time
    took: list[float] = []
    for _ in range(3):  # the best counts: the machine may have other things to do
        begin = clock()
        with pytest.raises(DeadlineExceededError, match=r"0\.5 seconds"):
            await near.send_message(Word("sleep 30"), FAR, timeout=0.5)
        took.append(clock() - begin)
    assert 0.49 <= min(took) <= 0.7


async def test_an_unknown_agent_type_is_told_within_a_second(near: GrpcWorkerAgentRuntime) -> None:
    async with asyncio.timeout(1):
        with pytest.raises(UndeliverableException, match="no agent type 'nobody'"):
            await near.send_message(Word("x"), AgentId("nobody", "k"))


async def test_cancelling_reaches_the_handler_and_the_caller_is_back_at_once(near: GrpcWorkerAgentRuntime) -> None:
    agent = AgentId("far", "to be cancelled")
    call = asyncio.create_task(near.send_message(Word("sleep 60"), agent))
    await asyncio.sleep(0)  # the call goes first
    await near.send_message(Word("is it there"), agent)
    call.cancel()
    async with asyncio.timeout(1):
        with pytest.raises(asyncio.CancelledError):
            await call
    async with asyncio.timeout(20):
        while await near.send_message(Word("cancelled"), agent) != Word("1"):  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.01)


async def test_recursion_across_workers_is_answered(near: GrpcWorkerAgentRuntime) -> None:
    await speak(near, "near")
    order = "ask near ask far " * 20 + "hi"
    assert await near.send_message(Word(f"ask near {order}"), FAR, timeout=30) == Word("HI")


async def test_one_trace_goes_through_three_processes(address: str, tmp_path: Path) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    files = [tmp_path / "second", tmp_path / "third"]
    caller = knows_messages(GrpcWorkerAgentRuntime(address, tracer_provider=provider))
    await caller.start()
    async with (
        worker_process(address, "second", "--spans", str(files[0])),
        worker_process(address, "third", "--spans", str(files[1])),
    ):
        with provider.get_tracer("the test").start_as_current_span("the program"):
            assert await caller.send_message(Word("ask third hi"), AgentId("second", "k")) == Word("HI")
    await caller.close()
    first = [_ids(span) for span in exporter.get_finished_spans()]
    second, third = ([json.loads(line) for line in file.read_text().splitlines()] for file in files)
    (program,) = (span for span in exporter.get_finished_spans() if span.name == "the program")
    assert len(first) > 1
    assert second
    assert third
    assert {span["context"]["trace_id"] for span in [*second, *third]} == {first[0]["trace"]}
    assert [span for span in first if span["parent"] is None] == [_ids(program)]
    for before, after in (([span["span"] for span in first], second), (_spans(second), third)):
        entered = [span for span in after if span["parent_id"] not in _spans(after)]
        assert entered
        assert all(span["parent_id"] in before for span in entered)


def _ids(span: ReadableSpan) -> dict[str, Any]:
    assert span.context is not None
    return {
        "trace": f"0x{span.context.trace_id:032x}",
        "span": f"0x{span.context.span_id:016x}",
        "parent": None if span.parent is None else f"0x{span.parent.span_id:016x}",
    }


def _spans(lines: list[dict[str, Any]]) -> list[str]:
    return [line["context"]["span_id"] for line in lines]


async def test_state_saved_on_one_worker_loads_on_another(near: GrpcWorkerAgentRuntime, address: str) -> None:
    agent = AgentId("keeper", "k")
    async with worker_process(address, "keeper"):
        for word in ("a", "b"):
            await near.send_message(Word(word), agent)
        state = await near.agent_save_state(agent)
    async with worker_process(address, "keeper"):
        await near.agent_load_state(agent, state)
        await near.send_message(Word("c"), agent)
        assert await near.agent_save_state(agent) == {"heard": ["a", "b", "c"]}


async def test_what_a_killed_caller_waited_for_is_cancelled(near: GrpcWorkerAgentRuntime, address: str) -> None:
    """By the host, once the caller had time to come back."""
    await speak(near, "worker")
    agent = await speaker(near, "worker")
    async with worker_process(address, "caller") as process:
        call = asyncio.create_task(near.send_message(Word("ask worker sleep 60"), AgentId("caller", "k")))
        await agent.under_way.wait()
        process.kill()
        with pytest.raises(UndeliverableException, match="lost"):
            await call
    await until(lambda: agent.cancelled == 1)


async def test_a_silent_worker_is_found_out_and_comes_back() -> None:
    """Stopped, as if its machine had vanished: nothing closes its connection."""
    host = GrpcWorkerAgentRuntimeHost("127.0.0.1:0", keepalive(1000))
    host.start()
    near = knows_messages(GrpcWorkerAgentRuntime(f"127.0.0.1:{host.port}"))
    await near.start()
    async with worker_process(f"127.0.0.1:{host.port}", "silent") as process:
        silent = AgentId("silent", "k")
        assert await near.send_message(Word("hi"), silent) == Word("HI")
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(UndeliverableException, match="lost"):
            await asyncio.wait_for(near.send_message(Word("x"), silent), 15)
        process.send_signal(signal.SIGCONT)
        async with asyncio.timeout(20):
            while True:
                try:
                    assert await near.send_message(Word("back"), silent) == Word("BACK")
                    break
                except UndeliverableException:
                    await asyncio.sleep(0.05)
    await near.close()
    await host.stop(grace=0)


_FORGETFUL = """
import asyncio
from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntime, GrpcWorkerAgentRuntimeHost

async def main():
    host = GrpcWorkerAgentRuntimeHost("127.0.0.1:0")
    host.start()
    await GrpcWorkerAgentRuntime(f"127.0.0.1:{host.port}").start()

for _ in range(3):
    asyncio.run(main())
"""


async def test_a_program_that_stops_nothing_ends_quietly() -> None:
    """Also where its next event loop would be told of what is left of the one before."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _FORGETFUL, stderr=asyncio.subprocess.PIPE)
    _, said = await asyncio.wait_for(process.communicate(), 30)
    assert said == b""
    assert process.returncode == 0


async def test_a_silent_host_is_found_out() -> None:
    async with host_process("--keepalive", "1000") as (process, address):
        near = knows_messages(
            GrpcWorkerAgentRuntime(address, extra_grpc_config=keepalive(1000), reconnect_timeout=1, drain_timeout=0)
        )
        far = GrpcWorkerAgentRuntime(address, extra_grpc_config=keepalive(1000), drain_timeout=0)
        await near.start()
        await far.start()
        await speak(far, "far")
        call = asyncio.create_task(near.send_message(Word("sleep 60"), FAR))
        await (await speaker(far, "far")).under_way.wait()
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(UndeliverableException, match="the host is away"):
            await asyncio.wait_for(call, 15)
        process.send_signal(signal.SIGCONT)
        await until(lambda: near._link.connected and far._link.connected)
        await near.close()
        await far.close()
