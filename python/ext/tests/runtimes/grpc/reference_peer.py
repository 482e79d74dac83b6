"""A process of the other side: a host or a worker of whatever release its interpreter has installed.

    python reference_peer.py host
    python reference_peer.py worker ADDRESS
    python reference_peer.py descriptors

It speaks JSON, one object a line: what it has seen on its output, what it is to do on its input. It uses public names only.
"""

import asyncio
import json
import sys
from dataclasses import dataclass

from pydantic import BaseModel

from autogen_core import (
    AgentId,
    MessageContext,
    RoutedAgent,
    TopicId,
    TypeSubscription,
    UnknownPayload,
    message_handler,
    try_get_known_serializers_for_type,
)


@dataclass
class Word:
    text: str


def _unreadable() -> type:
    """Make a class that has the name of `Word` on the wire, and not its fields."""

    @dataclass
    class Word:
        words: str

    return Word


Unreadable = _unreadable()


class Note(BaseModel):
    text: str
    times: int = 1


def tell(**seen: object) -> None:
    print(json.dumps(seen), flush=True)  # noqa: T201 - so it speaks


class Peer(RoutedAgent):
    """Answers words, counts notes, and calls back."""

    def __init__(self) -> None:
        super().__init__("an agent of the other release")

    @message_handler
    async def word(self, message: Word, ctx: MessageContext) -> Word:
        tell(word=message.text, rpc=ctx.is_rpc, sender=str(ctx.sender), key=self.id.key)
        if message.text == "fail":
            raise KeyError("no such word")
        if message.text.startswith("ask "):
            answer = await self.send_message(Word("from the peer"), AgentId(message.text[4:], "k"))
            return Word(f"it said {answer.text}")
        return Word(message.text[::-1])

    @message_handler
    async def note(self, message: Note, ctx: MessageContext) -> None:
        topic = ctx.topic_id
        tell(note=message.text, times=message.times, topic=str(topic), rpc=ctx.is_rpc, key=self.id.key)


def host() -> None:
    from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntimeHost

    async def serve() -> None:
        address = sys.argv[2]
        served = GrpcWorkerAgentRuntimeHost(address)
        served.start()
        tell(ready=address)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        await served.stop(grace=0)

    asyncio.run(serve())


def worker() -> None:
    from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntime

    async def work() -> None:
        runtime = GrpcWorkerAgentRuntime(sys.argv[2])
        await runtime.start()
        for kind in (Word, Note):
            runtime.add_message_serializer(try_get_known_serializers_for_type(kind))
        await Peer.register(runtime, "peer", Peer)
        await runtime.add_subscription(TypeSubscription("notes", "peer"))
        tell(ready="worker")
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            await obey(runtime, json.loads(line))
        await runtime.stop()

    async def obey(runtime: GrpcWorkerAgentRuntime, order: dict[str, str]) -> None:
        if "publish" in order:
            await runtime.publish_message(Note(text=order["publish"]), TopicId(order["topic"], "s"))
            return
        try:
            message = Unreadable("x") if order["send"] == "unreadable" else Word(order["send"])
            answer = await asyncio.wait_for(runtime.send_message(message, AgentId(order["to"], "k")), 10)
            if isinstance(answer, UnknownPayload):
                tell(unknown=[answer.type_name, answer.data_content_type, answer.payload.decode()])
            else:
                tell(answer=answer.text if isinstance(answer, Word) else repr(answer))
        except Exception as error:  # noqa: BLE001 - what it is, is what is asked for
            tell(error=type(error).__name__, text=str(error))

    asyncio.run(work())


def descriptors() -> None:
    from autogen_ext.runtimes.grpc.protos import agent_worker_pb2, cloudevent_pb2

    modules = {"agent_worker": agent_worker_pb2, "cloudevent": cloudevent_pb2}
    tell(**{name: module.DESCRIPTOR.serialized_pb.hex() for name, module in modules.items()})


if __name__ == "__main__":
    {"host": host, "worker": worker, "descriptors": descriptors}[sys.argv[1]]()
