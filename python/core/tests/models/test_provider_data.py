"""What a model's provider wants back is kept with calls and messages, and changes nothing where there is none."""

import copy
import json
import pickle
from dataclasses import asdict

from autogen_core import FunctionCall
from autogen_core.model_context import UnboundedChatCompletionContext
from autogen_core.models import AssistantMessage, CreateResult, RequestUsage

DATA = {"openai": {"server": "here", "call": {"mark": "m"}}}


def marked_call() -> FunctionCall:
    """Read a call as it stands in a state."""
    call = {"id": "1", "name": "add", "arguments": "{}", "provider_data": DATA}
    content = AssistantMessage.model_validate({"content": [call], "source": "a"}).content
    assert isinstance(content, list)
    return content[0]


async def test_it_is_saved_with_a_context_and_loaded() -> None:
    message = AssistantMessage(content=[marked_call()], source="a", provider_data=DATA)
    context = UnboundedChatCompletionContext(initial_messages=[message])
    saved = json.loads(json.dumps(await context.save_state()))
    again = UnboundedChatCompletionContext()
    await again.load_state(saved)
    (loaded,) = await again.get_messages()
    assert isinstance(loaded, AssistantMessage)
    assert isinstance(loaded.content, list)
    assert loaded == message
    assert loaded.provider_data == loaded.content[0].provider_data == DATA


def test_copies_of_a_call_keep_it() -> None:
    call = marked_call()
    for copied in (copy.copy(call), copy.deepcopy(call), pickle.loads(pickle.dumps(call))):
        assert copied.provider_data == DATA


def test_without_it_everything_is_written_as_before() -> None:
    call = FunctionCall(id="1", name="add", arguments="{}")
    message = AssistantMessage(content=[call], source="a")
    assert message.model_dump() == {
        "content": [{"id": "1", "name": "add", "arguments": "{}"}],
        "source": "a",
        "thought": None,
        "type": "AssistantMessage",
    }
    usage = RequestUsage(prompt_tokens=1, completion_tokens=1)
    result = CreateResult(finish_reason="stop", content="x", usage=usage, cached=False)
    assert "provider_data" not in result.model_dump_json()
    assert "provider_data" not in json.dumps(AssistantMessage.model_json_schema())


def test_a_call_compares_prints_and_crosses_wires_without_it() -> None:
    call = FunctionCall(id="1", name="add", arguments="{}")
    assert marked_call() == call
    assert repr(marked_call()) == repr(call)
    assert asdict(marked_call()) == asdict(call)
