"""Workers of AutoGen 0.7.5 at a gateway, unchanged, each in a process and environment of its own."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from autogen_core import (
    AgentId,
    AgentRuntime,
    MessageContext,
    RoutedAgent,
    TopicId,
    TypeSubscription,
    message_handler,
    try_get_known_serializers_for_type,
)
from autogen_core.exceptions import DeadlineExceededError, RemoteError
from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntimeHost

from ..grpc import reference
from ..grpc.reference_peer import Note, Peer, Word
from .agents import until
from .conftest import Place

PEER = AgentId("peer", "k")


@pytest.fixture(scope="session")
def reference_python() -> Path:
    try:
        return reference.interpreter()
    except reference.MissingError as error:
        pytest.skip(str(error))


@pytest.fixture
async def host(place: Place) -> GrpcWorkerAgentRuntimeHost:
    return place.gateway()


@asynccontextmanager
async def old_worker(python: Path, host: GrpcWorkerAgentRuntimeHost) -> AsyncGenerator[reference.Peer]:
    async with reference.peer(python, "worker", f"127.0.0.1:{host.port}") as theirs:
        yield theirs


async def ours(place: Place) -> AgentRuntime:
    runtime = await place.nats(reconnect_timeout=20.0)
    for kind in (Word, Note):
        runtime.add_message_serializer(try_get_known_serializers_for_type(kind))
    return runtime


async def test_an_old_worker_is_called_from_nats(
    place: Place, host: GrpcWorkerAgentRuntimeHost, reference_python: Path
) -> None:
    runtime = await ours(place)
    async with old_worker(reference_python, host) as theirs:
        sender = AgentId("visitor", "v")
        answer = await runtime.send_message(Word("hello"), PEER, sender=sender)
        assert getattr(answer, "text", None) == "olleh"
        assert await theirs.hears() == {"word": "hello", "rpc": True, "sender": "visitor/v", "key": "k"}
        with pytest.raises(RemoteError, match="no such word"):
            await runtime.send_message(Word("fail"), PEER)


async def test_an_old_worker_calls_an_agent_on_nats(
    place: Place, host: GrpcWorkerAgentRuntimeHost, reference_python: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An answer, an error, and an agent type that nobody has: each comes back at once."""
    runtime = await ours(place)
    await Peer.register(runtime, "ours", Peer)
    async with old_worker(reference_python, host) as theirs:
        await theirs.does(send="hello", to="ours")
        assert await theirs.hears() == {"answer": "olleh"}
        await theirs.does(send="fail", to="ours")
        failed = await theirs.hears()
        assert failed["error"] == "Exception"
        assert "no such word" in failed["text"]
        await theirs.does(send="hello", to="nobody")
        assert "nobody" in (await theirs.hears())["text"]
    assert '"word": "hello"' in capsys.readouterr().out


async def test_an_old_worker_answers_with_what_it_asked_nats_for(
    place: Place, host: GrpcWorkerAgentRuntimeHost, reference_python: Path
) -> None:
    runtime = await ours(place)
    await Peer.register(runtime, "ours", Peer)
    async with old_worker(reference_python, host):
        answer = await runtime.send_message(Word("ask ours"), PEER)
        assert getattr(answer, "text", None) == "it said reep eht morf"


async def test_events_reach_old_workers_and_come_from_them_once(
    place: Place, host: GrpcWorkerAgentRuntimeHost, reference_python: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime = await ours(place)
    await Peer.register(runtime, "ours", Peer)
    await runtime.add_subscription(TypeSubscription("notes", "ours"))
    async with old_worker(reference_python, host) as theirs:
        await runtime.publish_message(Note(text="one", times=3), TopicId("notes", "s"))
        heard = await theirs.hears()
        assert heard == {"note": "one", "times": 3, "topic": "notes/s", "rpc": False, "key": "s"}
        await theirs.does(publish="two", topic="notes")
        assert (await theirs.hears())["note"] == "two"
        await theirs.does(send="hello", to="peer")  # so that a copy too many would come before its answer
        assert (await theirs.hears())["word"] == "hello"
        assert await theirs.hears() == {"answer": "olleh"}
    said = capsys.readouterr().out
    assert (said.count('"note": "one"'), said.count('"note": "two"')) == (1, 1)


class Slow(RoutedAgent):
    """Answers the second time; the first time it takes too long."""

    def __init__(self, asked: list[str], cancelled: asyncio.Event) -> None:
        super().__init__("takes its time")
        self.asked = asked
        self.cancelled = cancelled

    @message_handler
    async def word(self, message: Word, ctx: MessageContext) -> Word:
        self.asked.append(message.text)
        if len(self.asked) == 1:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        return Word("at last")


async def test_what_an_old_worker_did_not_answer_the_next_one_gets(
    place: Place, host: GrpcWorkerAgentRuntimeHost, reference_python: Path
) -> None:
    """It is killed while it waits for an agent on NATS: that one is cancelled, and who asked the worker notices nothing."""
    runtime = await ours(place)
    asked, cancelled = list[str](), asyncio.Event()
    await Slow.register(runtime, "slow", lambda: Slow(asked, cancelled))
    async with old_worker(reference_python, host):
        request = asyncio.create_task(runtime.send_message(Word("ask slow"), PEER))
        await until(lambda: len(asked) == 1)
    await asyncio.wait_for(cancelled.wait(), 10)
    assert not request.done()
    async with old_worker(reference_python, host):
        assert getattr(await asyncio.wait_for(request, 30), "text", None) == "it said at last"


async def test_a_deadline_holds_though_an_old_worker_knows_none(
    place: Place, host: GrpcWorkerAgentRuntimeHost, reference_python: Path
) -> None:
    runtime: Any = await ours(place)
    await Slow.register(runtime, "slow", lambda: Slow([], asyncio.Event()))
    async with old_worker(reference_python, host):
        await runtime.send_message(Word("warm"), PEER)
        with pytest.raises(DeadlineExceededError):
            await runtime.send_message(Word("ask slow"), PEER, timeout=0.5)
