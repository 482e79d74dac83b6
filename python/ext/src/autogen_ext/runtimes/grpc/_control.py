"""What workers of ours ask each other beside messages: state, metadata, cancellation. AutoGen 0.7.5 answers none of it.

Stands on the link and the directory.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from uuid import uuid4

from google.protobuf.message import Message as Proto

from autogen_core import ROOT_LOGGER_NAME, AgentId, AgentMetadata
from autogen_core.exceptions import DeadlineExceededError
from autogen_core.lowlevel import Directory
from autogen_ext.runtimes._shared import errors
from autogen_ext.runtimes._shared.payloads import UnreadableError

from ._codec import from_agent, to_agent
from ._link import Link
from ._router import control_error
from .protos import agent_control_pb2 as control
from .protos import agent_worker_pb2 as wire

T = TypeVar("T", bound=Proto)

_logger = logging.getLogger(f"{ROOT_LOGGER_NAME}.runtimes.grpc")

_ANSWER_S = 10.0
"""How long the answer to a control message may take, in seconds."""


class Control:
    """The control messages of a worker, both ways.

    Args:
        link: Where they go.
        directory: The agents here.
        cancel: Called with the id of a request that nobody waits for any more.
    """

    def __init__(self, link: Link, directory: Directory, cancel: Callable[[str], None]) -> None:
        self._link = link
        self._directory = directory
        self._cancel = cancel
        self._open: dict[str, asyncio.Future[wire.ControlMessage]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # Asking

    async def save_state(self, agent: AgentId) -> Mapping[str, Any]:
        """Return the state of an agent elsewhere."""
        answer = await self._ask(agent, wire.SaveStateRequest(agentId=to_agent(agent)), wire.SaveStateResponse)
        if answer.HasField("error"):
            raise _revive(answer.error, control.ControlError.FromString(answer.SerializeToString()), agent)
        return json.loads(answer.state)

    async def load_state(self, agent: AgentId, state: Mapping[str, Any]) -> None:
        """Give an agent elsewhere a state."""
        request = wire.LoadStateRequest(agentId=to_agent(agent), state=json.dumps(dict(state)))
        answer = await self._ask(agent, request, wire.LoadStateResponse)
        if answer.HasField("error"):
            raise _revive(answer.error, control.ControlError.FromString(answer.SerializeToString()), agent)

    async def metadata(self, agent: AgentId) -> AgentMetadata:
        """Return what an agent elsewhere tells about itself."""
        request = control.MetadataRequest(agent_id=to_agent(agent))
        answer = await self._ask(agent, request, control.MetadataResponse)
        return AgentMetadata(type=answer.type, key=answer.key, description=answer.description)

    async def _ask(self, agent: AgentId, request: Proto, expected: type[T]) -> T:
        id = str(uuid4())
        message = wire.ControlMessage(
            rpc_id=id, destination=f"agentid={agent}", respond_to=f"clientid={self._link.client_id}"
        )
        message.rpcMessage.Pack(request)
        self._open[id] = asyncio.get_running_loop().create_future()
        self._link.control_outbox.put(message)
        try:
            async with asyncio.timeout(_ANSWER_S):
                answer = (await self._open[id]).rpcMessage
        except TimeoutError:
            text = f"The worker of {agent} did not answer within {_ANSWER_S:.0f} seconds. Workers of AutoGen 0.7.5 never do."
            raise DeadlineExceededError(text, recipient=agent) from None
        finally:
            del self._open[id]
        failed = control.ControlError()
        if answer.Unpack(failed):
            raise _revive(failed.text, failed, agent)
        made = expected()
        if not answer.Unpack(made):
            raise UnreadableError(f"The answer of {agent} is a {answer.TypeName()}, not a {made.DESCRIPTOR.full_name}.")
        return made

    # Answering

    def take(self, message: wire.ControlMessage) -> None:
        """Take a control message: an answer, or something to be answered."""
        if not message.HasField("respond_to"):
            cancel = control.CancelRequest()
            if message.rpcMessage.Unpack(cancel):
                self._cancel(cancel.request_id)
            elif (waiting := self._open.get(message.rpc_id)) is not None and not waiting.done():
                waiting.set_result(message)
            return
        task = asyncio.create_task(self._serve(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, message: wire.ControlMessage) -> None:
        try:
            made = await self._answer(message.rpcMessage)
        except Exception as error:  # noqa: BLE001 - agents are anybody's code, and somebody waits for the answer
            self._link.control_outbox.put(control_error(message, error))
            return
        answer = wire.ControlMessage(rpc_id=message.rpc_id, destination=message.respond_to)
        answer.rpcMessage.Pack(made)
        self._link.control_outbox.put(answer)

    async def _answer(self, packed: Any) -> Proto:
        save, load, tell = wire.SaveStateRequest(), wire.LoadStateRequest(), control.MetadataRequest()
        if packed.Unpack(save):
            state = await (await self._directory.activate(from_agent(save.agentId))).save_state()
            return wire.SaveStateResponse(state=json.dumps(dict(state)))
        if packed.Unpack(load):
            await (await self._directory.activate(from_agent(load.agentId))).load_state(json.loads(load.state))
            return wire.LoadStateResponse()
        if packed.Unpack(tell):
            return control.MetadataResponse(**(await self._directory.activate(from_agent(tell.agent_id))).metadata)
        raise UnreadableError(f"A control message of type {packed.TypeName()!r} is not known here.")

    async def stop(self) -> None:
        """End what is being answered."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


def _revive(text: str, failed: control.ControlError, agent: AgentId) -> Exception:
    """Make the error that a control message tells of; a foreign worker tells its text only."""
    told = {errors.TYPE: failed.type_name, errors.TRACEBACK: failed.traceback, errors.TEXT: failed.text or text}
    return errors.revive(text, told, agent, "")
