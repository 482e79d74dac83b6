"""What workers ask about agents of the system behind their host: state and metadata. Stands on the protocol of runtimes."""

import json
from collections.abc import Awaitable, Callable

from google.protobuf.message import Message as Proto

from autogen_core import AgentRuntime
from autogen_ext.runtimes._shared.payloads import UnreadableError

from ._codec import from_agent
from ._router import control_error
from .protos import agent_control_pb2 as control
from .protos import agent_worker_pb2 as wire


async def answer_control(
    runtime: Callable[[], Awaitable[AgentRuntime]], message: wire.ControlMessage
) -> wire.ControlMessage:
    """Return the answer to a question about an agent, or the error that it led to."""
    try:
        made = await _answer(await runtime(), message)
    except Exception as error:  # noqa: BLE001 - agents are anybody's code, and somebody waits for the answer
        return control_error(message, error)
    answer = wire.ControlMessage(rpc_id=message.rpc_id, destination=message.respond_to)
    answer.rpcMessage.Pack(made)
    return answer


async def _answer(runtime: AgentRuntime, message: wire.ControlMessage) -> Proto:
    packed = message.rpcMessage
    save, load, tell = wire.SaveStateRequest(), wire.LoadStateRequest(), control.MetadataRequest()
    if packed.Unpack(save):
        state = await runtime.agent_save_state(from_agent(save.agentId))
        return wire.SaveStateResponse(state=json.dumps(dict(state)))
    if packed.Unpack(load):
        await runtime.agent_load_state(from_agent(load.agentId), json.loads(load.state))
        return wire.LoadStateResponse()
    if packed.Unpack(tell):
        return control.MetadataResponse(**await runtime.agent_metadata(from_agent(tell.agent_id)))
    raise UnreadableError(f"A control message of type {packed.TypeName()!r} is not known here.")
