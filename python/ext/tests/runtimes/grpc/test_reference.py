"""A worker of AutoGen 0.7.5 at our host, and ours at a host of 0.7.5, each in a process and environment of its own."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from autogen_core import (
    AgentId,
    MessageContext,
    RoutedAgent,
    TopicId,
    TypeSubscription,
    message_handler,
    try_get_known_serializers_for_type,
)
from autogen_core.exceptions import RemoteError, UndeliverableException
from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntime, GrpcWorkerAgentRuntimeHost

from . import reference
from .agents import until
from .reference_peer import Note, Word

PYTHON = reference.interpreter()
pytestmark = pytest.mark.skipif(
    PYTHON is None, reason="needs AutoGen 0.7.5: run python/ext/tests/runtimes/grpc/reference.py"
)


class Ours(RoutedAgent):
    heard: list[str] = []
    waits = False
    under_way = asyncio.Event()

    def __init__(self) -> None:
        super().__init__("ours")

    @message_handler
    async def word(self, message: Word, ctx: MessageContext) -> Word | None:
        if message.text == "fail":
            raise KeyError("boom")
        if message.text == "nothing":
            return None
        if message.text == "from the peer" and self.waits:
            self.under_way.set()
            await asyncio.sleep(30)
        return Word(message.text.upper())

    @message_handler
    async def note(self, message: Note, ctx: MessageContext) -> None:
        self.heard.append(f"{message.text} to {self.id}")


@asynccontextmanager
async def our_worker(address: str) -> AsyncGenerator[GrpcWorkerAgentRuntime]:
    runtime = GrpcWorkerAgentRuntime(address, drain_timeout=0.1)
    await runtime.start()
    for kind in (Word, Note):
        runtime.add_message_serializer(try_get_known_serializers_for_type(kind))
    Ours.heard, Ours.waits, Ours.under_way = [], False, asyncio.Event()
    await Ours.register(runtime, "ours", Ours)
    await runtime.add_subscription(TypeSubscription("news", "ours"))
    try:
        yield runtime
    finally:
        await runtime.close()


@asynccontextmanager
async def meeting(whose: str) -> AsyncGenerator[tuple[reference.Peer, GrpcWorkerAgentRuntime]]:
    """A host of one side, with a worker of each side."""
    assert PYTHON is not None
    if whose == "our host":
        host = GrpcWorkerAgentRuntimeHost("127.0.0.1:0")
        host.start()
        address = f"127.0.0.1:{host.port}"
        try:
            async with reference.peer(PYTHON, "worker", address) as theirs, our_worker(address) as ours:
                yield theirs, ours
        finally:
            await host.stop(grace=0)
        return
    address = reference.free_address()
    async with (
        reference.peer(PYTHON, "host", address),
        reference.peer(PYTHON, "worker", address) as theirs,
        our_worker(address) as ours,
    ):
        yield theirs, ours


both = pytest.mark.parametrize("whose", ["our host", "their host"])


def test_the_descriptors_are_the_same_bytes() -> None:
    """Else the two packages could not be loaded by one process."""
    assert PYTHON is not None
    peer = Path(__file__).with_name("reference_peer.py")
    told = [
        subprocess.run([python, peer, "descriptors"], capture_output=True, check=True).stdout
        for python in (PYTHON, sys.executable)
    ]
    assert told[0] == told[1]


@both
async def test_our_worker_calls_theirs(whose: str) -> None:
    async with meeting(whose) as (theirs, ours):
        answer = await ours.send_message(Word("abc"), AgentId("peer", "p"), sender=AgentId("ours", "me"), timeout=10)
        assert answer == Word("cba")
        assert await theirs.hears() == {"word": "abc", "rpc": True, "sender": "ours/me", "key": "p"}


@both
async def test_an_error_of_theirs_reaches_us_with_its_text(whose: str) -> None:
    async with meeting(whose) as (_, ours):
        with pytest.raises(RemoteError, match="no such word"):
            await ours.send_message(Word("fail"), AgentId("peer", "p"), timeout=10)


@both
async def test_their_worker_calls_ours(whose: str) -> None:
    async with meeting(whose) as (theirs, _):
        await theirs.does(send="hello", to="ours")
        assert await theirs.hears() == {"answer": "HELLO"}


@both
async def test_an_error_of_ours_reaches_them_with_its_text(whose: str) -> None:
    async with meeting(whose) as (theirs, _):
        await theirs.does(send="fail", to="ours")
        assert await theirs.hears() == {"error": "Exception", "text": "'boom'"}


@both
async def test_an_answer_of_none_reaches_them(whose: str) -> None:
    """Their own worker would leave the caller waiting."""
    async with meeting(whose) as (theirs, _):
        await theirs.does(send="nothing", to="ours")
        assert "NoneType" in (await theirs.hears())["answer"]


@both
async def test_a_handler_of_theirs_calls_back_while_we_wait(whose: str) -> None:
    async with meeting(whose) as (_, ours):
        answer = await ours.send_message(Word("ask ours"), AgentId("peer", "p"), timeout=10)
        assert answer == Word("it said FROM THE PEER")


@both
async def test_events_go_both_ways(whose: str) -> None:
    async with meeting(whose) as (theirs, ours):
        await ours.publish_message(Note(text="a note", times=3), TopicId("notes", "key"))
        seen = {"note": "a note", "times": 3, "topic": "notes/key", "rpc": False, "key": "key"}
        assert await theirs.hears() == seen
        await theirs.does(publish="news of theirs", topic="news")
        await until(lambda: bool(Ours.heard))
        assert Ours.heard == ["news of theirs to ours/s"]


async def test_our_host_answers_their_worker_if_nobody_is_there() -> None:
    """Their own host would leave the caller waiting."""
    async with meeting("our host") as (theirs, _):
        await theirs.does(send="hello", to="nobody")
        told = await theirs.hears()
        assert told["error"] == "Exception"
        assert "no agent type 'nobody'" in told["text"]


async def test_a_lost_worker_of_theirs_is_told_to_who_waits() -> None:
    host = GrpcWorkerAgentRuntimeHost("127.0.0.1:0")
    host.start()
    address = f"127.0.0.1:{host.port}"
    assert PYTHON is not None
    async with our_worker(address) as ours:
        async with reference.peer(PYTHON, "worker", address):
            assert await ours.send_message(Word("abc"), AgentId("peer", "p"), timeout=10) == Word("cba")
            Ours.waits = True
            call = asyncio.create_task(ours.send_message(Word("ask ours"), AgentId("peer", "p")))
            await Ours.under_way.wait()
        with pytest.raises(UndeliverableException, match="lost"):
            await asyncio.wait_for(call, 10)
    await host.stop(grace=0)
