"""Questions about an agent itself: its state, and what it tells about itself. Stands on the wire; knows no connection."""

import json

from autogen_core import JSON_DATA_CONTENT_TYPE, Agent
from autogen_ext.runtimes._shared.payloads import UnreadableError, Written

from ._wire import LOAD, SAVE, TELL, Answer, Message


async def answer_control(agent: Agent, message: Message) -> Answer:
    """Return the answer to a question about an agent, or the error that it led to."""
    try:
        if message.kind == SAVE:
            found = dict(await agent.save_state())
        elif message.kind == LOAD:
            await agent.load_state(json.loads(message.payload.data))
            found = {}
        elif message.kind == TELL:
            found = dict(agent.metadata)
        else:
            return Answer.failed(message.id, UnreadableError(f"A message of kind {message.kind!r} is not known here."))
        return Answer(message.id, json_payload(found))
    except Exception as error:  # noqa: BLE001 - agents are anybody's code, and somebody waits for the answer
        return Answer.failed(message.id, error)


def json_payload(value: object) -> Written:
    """Write a plain JSON value as a payload."""
    return Written(type(value).__name__, JSON_DATA_CONTENT_TYPE, json.dumps(value).encode())
