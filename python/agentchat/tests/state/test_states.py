"""State records have the JSON of 0.7.5."""

import pytest

from autogen_agentchat import state
from autogen_agentchat.state import (
    AssistantAgentState,
    BaseState,
    ChatAgentContainerState,
    MagenticOneOrchestratorState,
    RoundRobinManagerState,
    SelectorManagerState,
    SocietyOfMindAgentState,
    SwarmManagerState,
    TeamState,
)

MANAGER: dict[str, object] = {"version": "1.0.0", "message_thread": [], "current_turn": 0}


RECORDS: list[tuple[BaseState, dict[str, object]]] = [
    (BaseState(), {"type": "BaseState", "version": "1.0.0"}),
    (
        AssistantAgentState(),
        {"type": "AssistantAgentState", "version": "1.0.0", "llm_context": {"messages": []}},
    ),
    (TeamState(), {"type": "TeamState", "version": "1.0.0", "agent_states": {}}),
    (
        ChatAgentContainerState(),
        {"type": "ChatAgentContainerState", "version": "1.0.0", "agent_state": {}, "message_buffer": []},
    ),
    (RoundRobinManagerState(), {"type": "RoundRobinManagerState", **MANAGER, "next_speaker_index": 0}),
    (SelectorManagerState(), {"type": "SelectorManagerState", **MANAGER, "previous_speaker": None}),
    (SwarmManagerState(), {"type": "SwarmManagerState", **MANAGER, "current_speaker": ""}),
    (
        MagenticOneOrchestratorState(),
        {
            "type": "MagenticOneOrchestratorState",
            **MANAGER,
            "task": "",
            "facts": "",
            "plan": "",
            "n_rounds": 0,
            "n_stalls": 0,
        },
    ),
    (SocietyOfMindAgentState(), {"type": "SocietyOfMindAgentState", "version": "1.0.0", "inner_team_state": {}}),
]


@pytest.mark.parametrize(("record", "saved"), RECORDS, ids=[type(record).__name__ for record, _ in RECORDS])
def test_a_record_is_saved_and_loaded_as_in_the_reference(record: BaseState, saved: dict[str, object]) -> None:
    assert record.model_dump(mode="json") == saved
    assert type(record).model_validate(saved) == record


def test_records_do_not_share_what_they_hold() -> None:
    one, other = ChatAgentContainerState(), ChatAgentContainerState()
    one.message_buffer.append({"type": "TextMessage"})
    assert other.message_buffer == []


def test_every_public_name_is_a_state() -> None:
    for name in state.__all__:
        assert issubclass(getattr(state, name), BaseState)
