"""Scenarios for teams, each of which any runtime must play in the same way: what kinds of team do.

A scenario returns facts to be compared, and asserts what it is about, so that two runtimes cannot agree on nothing.
"""

import json
from typing import Any

from autogen_agentchat.agents import AssistantAgent, SocietyOfMindAgent, UserProxyAgent
from autogen_agentchat.conditions import (
    FunctionCallTermination,
    HandoffTermination,
    MaxMessageTermination,
    SourceMatchTermination,
    TextMentionTermination,
    TokenUsageTermination,
)
from autogen_agentchat.messages import (
    HandoffMessage,
    TextMessage,
)
from autogen_agentchat.teams import (
    DiGraphBuilder,
    GraphFlow,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
    SelectorGroupChat,
    Swarm,
)
from autogen_agentchat.tools import AgentTool, TeamTool

from .teams_cast import Actor, Cast, Facts, calls, model, play, texts


def look_up(city: str) -> str:
    """Look up the weather of a city."""
    return f"23 degrees in {city}"


async def round_robin_with_tools(cast: Cast) -> Facts:
    """A tool is called, its result reflected on, and the critic hears the answer alone."""
    expert = await cast.seat(
        lambda: AssistantAgent(
            "expert",
            model(calls("look_up", '{"city": "Bergen"}'), "It is warm.", "Very."),
            tools=[look_up],
            reflect_on_tool_use=True,
        )
    )
    critic = await cast.seat(lambda: AssistantAgent("critic", model("How warm?", "APPROVED")))
    team = RoundRobinGroupChat(
        [expert, critic], runtime=cast.runtime, termination_condition=TextMentionTermination("APPROVED")
    )
    said = await play(team.run_stream(task="The weather?"))
    assert [one["type"] for one in said[1:3]] == ["ToolCallRequestEvent", "ToolCallExecutionEvent"]
    assert texts(said)[1:] == ["expert: It is warm.", "critic: How warm?", "expert: Very.", "critic: APPROVED"]
    return said


async def tokens(cast: Cast) -> Facts:
    """Tokens come before the message that they make up, all of them, in order."""
    writer = await cast.seat(lambda: AssistantAgent("writer", model("a b c d e f g h"), model_client_stream=True))
    reader = await cast.seat(lambda: Actor("reader", "read"))
    said = await play(RoundRobinGroupChat([writer, reader], runtime=cast.runtime, max_turns=2).run_stream(task="go"))
    chunks = [one["content"] for one in said[1:-1] if one["type"] == "ModelClientStreamingChunkEvent"]
    assert "".join(chunks) == "a b c d e f g h"
    assert len(chunks) > 1
    assert texts(said)[1:] == ["writer: a b c d e f g h", "reader: read (2)"]
    return said


async def swarm(cast: Cast) -> Facts:
    """A handover, one to somebody outside, and the run that answers it."""
    reception = await cast.seat(
        lambda: AssistantAgent("reception", model(calls("transfer_to_workshop")), handoffs=["workshop"])
    )
    script = calls("transfer_to_customer"), calls("look_up", '{"city": "Oslo"}'), "Thanks. GOODBYE"
    workshop = await cast.seat(
        lambda: AssistantAgent(
            "workshop", model(*script), tools=[look_up], handoffs=["customer"], max_tool_iterations=3
        )
    )
    stop = HandoffTermination("customer") | TextMentionTermination("GOODBYE")
    team = Swarm([reception, workshop], termination_condition=stop, runtime=cast.runtime)
    first = await play(team.run_stream(task="It is broken."))
    reply = HandoffMessage(content="Oslo", source="customer", target="workshop")
    second = await play(team.run_stream(task=reply))
    assert [one["target"] for one in first[:-1] if "target" in one] == ["workshop", "customer"]
    assert texts(second)[-1] == "workshop: Thanks. GOODBYE"
    return [*first, *second]


async def selector_function(cast: Cast) -> Facts:
    """A function of the program chooses, by what was said last."""
    first = await cast.seat(lambda: Actor("first", "one", "three"))
    second = await cast.seat(lambda: Actor("second", "two", "DONE"))

    def choose(thread: Any) -> str:
        return "second" if thread[-1].source == "first" else "first"

    team = SelectorGroupChat(
        [first, second],
        model(),
        selector_func=choose,
        termination_condition=TextMentionTermination("DONE"),
        runtime=cast.runtime,
    )
    said = await play(team.run_stream(task="go"))
    assert [text.split(" ")[1] for text in texts(said)[1:]] == ["one", "two", "three", "DONE"]
    return said


async def selector_model(cast: Cast) -> Facts:
    """A model chooses by the descriptions; each choice is an event."""
    guide = await cast.seat(lambda: Actor("guide", "There is a fjord."))
    editor = await cast.seat(lambda: Actor("editor", "Nicely said."))
    chooser = model("guide", "nobody", "editor")
    team = SelectorGroupChat([guide, editor], chooser, max_turns=2, emit_team_events=True, runtime=cast.runtime)
    said = await play(team.run_stream(task="A trip"))
    asked = str(chooser.create_calls[0]["messages"])
    assert "guide follows a script" in asked
    assert [one["content"] for one in said[:-1] if one["type"] == "SelectSpeakerEvent"] == [["guide"], ["editor"]]
    return [*said, asked]


async def graph(cast: Cast) -> Facts:
    """Two speak at the same time, and a loop sends the writer back once. Who of the two ends first is open."""
    seats = {
        name: await cast.seat(lambda name=name, script=script: Actor(name, *script))
        for name, script in {
            "writer": ["draft", "better"],
            "grammar": ["a mistake", "none"],
            "facts": ["doubtful", "true"],
            "editor": ["REDO", "good"],
            "printer": ["printed"],
        }.items()
    }
    builder = DiGraphBuilder()
    for seat in seats.values():
        builder.add_node(seat)
    writer, grammar, facts_, editor, printer = seats.values()
    builder.set_entry_point(writer)
    builder.add_edge(writer, grammar).add_edge(writer, facts_).add_edge(grammar, editor).add_edge(facts_, editor)
    builder.add_edge(editor, writer, condition=lambda message: "REDO" in message.to_text())
    builder.add_edge(editor, printer, condition=lambda message: "REDO" not in message.to_text())
    team = GraphFlow(builder.get_participants(), builder.build(), runtime=cast.runtime)
    said = await play(team.run_stream(task="A line"))
    lines = texts(said)
    assert [line.split(" (")[0] for line in [lines[1], *sorted(lines[2:4]), lines[4]]] == [
        "writer: draft",
        "facts: doubtful",
        "grammar: a mistake",
        "editor: REDO",
    ]
    assert [line.split(" (")[0] for line in [lines[5], *lines[8:10]]] == [
        "writer: better",
        "editor: good",
        "printer: printed",
    ]
    return [*sorted(lines[2:4]), lines[4:6], *sorted(lines[6:8]), *lines[8:], said[-1]]


def ledger(speaker: str, *, done: bool = False, progress: bool = True) -> str:
    """Write a progress ledger, as a model would."""
    answers: dict[str, bool | str] = {
        "is_request_satisfied": done,
        "is_in_loop": False,
        "is_progress_being_made": progress,
        "next_speaker": speaker,
        "instruction_or_question": f"Your part, {speaker}.",
    }
    return json.dumps({key: {"reason": "so", "answer": answer} for key, answer in answers.items()})


async def magentic_one(cast: Cast) -> Facts:
    """A plan that stalls, another that leads to the end; the participants forget the first."""
    script = [
        "facts",
        "plan",
        ledger("finder", progress=False),
        "new facts",
        "new plan",
        ledger("finder"),
        ledger("counter"),
        ledger("counter", done=True),
        "31 years.",
    ]
    finder = await cast.seat(lambda: Actor("finder", "1909 and 1940"))
    counter = await cast.seat(lambda: Actor("counter", "31"))
    team = MagenticOneGroupChat([finder, counter], model(*script), max_stalls=1, runtime=cast.runtime)
    said = await play(team.run_stream(task="How many years?"))
    assert [text.split(" (")[0] for text in texts(said) if text.startswith(("finder", "counter"))] == [
        "finder: 1909 and 1940",
        "counter: 31",
    ]
    assert texts(said)[-1].endswith("31 years.")
    return said


async def society_of_mind(cast: Cast) -> Facts:
    """A team inside an agent: its discussion is seen, and its answer heard."""

    def board() -> SocietyOfMindAgent:
        inner = RoundRobinGroupChat(
            [AssistantAgent("hope", model("In spring.")), AssistantAgent("doubt", model("It rains."))], max_turns=2
        )
        return SocietyOfMindAgent("board", inner, model("In May."))

    team = RoundRobinGroupChat(
        [await cast.seat(board), await cast.seat(lambda: Actor("clerk", "noted"))], runtime=cast.runtime, max_turns=2
    )
    said = await play(team.run_stream(task="When?"))
    assert texts(said)[1:] == ["hope: In spring.", "doubt: It rains.", "board: In May.", "clerk: noted (2)"]
    return said


async def nested_team(cast: Cast) -> Facts:
    """A team in a team: both on the same runtime, and the others hear each of its members."""
    inner = RoundRobinGroupChat(
        [await cast.seat(lambda: Actor("ann", "a")), await cast.seat(lambda: Actor("bob", "b"))],
        name="pair",
        runtime=cast.runtime,
        max_turns=2,
    )
    outer = RoundRobinGroupChat(
        [inner, await cast.seat(lambda: Actor("boss", "fine", "END"))],
        runtime=cast.runtime,
        termination_condition=TextMentionTermination("END"),
    )
    said = await play(outer.run_stream(task="go"))
    assert texts(said)[1:] == [
        "ann: a (1)",
        "bob: b (2)",
        "boss: fine (3)",
        "ann: turn 1 (3)",
        "bob: turn 1 (4)",
        "boss: END (5)",
    ]
    return said


async def conditions(cast: Cast) -> Facts:
    """What conditions look at arrives whole: sources, tool calls, tokens, numbers of messages."""
    facts: Facts = []
    for condition in (
        SourceMatchTermination(["second"]),
        FunctionCallTermination("look_up"),
        TokenUsageTermination(max_total_token=20),
        MaxMessageTermination(2) & TextMentionTermination("23 degrees"),
    ):
        answers = calls("look_up", '{"city": "Bergen"}'), "more", "more"
        first = await cast.seat(lambda answers=answers: AssistantAgent("first", model(*answers), tools=[look_up]))
        second = await cast.seat(lambda: Actor("second"))
        team = RoundRobinGroupChat([first, second], runtime=cast.runtime, termination_condition=condition, max_turns=6)
        facts += await play(team.run_stream(task="go"))
        assert not facts[-1].startswith("Maximum number of turns")
    return facts


async def max_turns(cast: Cast) -> Facts:
    """A run ends after so many turns, and the next one without a task goes on with who is next."""
    seats = [await cast.seat(lambda name=name: Actor(name)) for name in ("ann", "bob", "cid")]
    team = RoundRobinGroupChat([*seats], runtime=cast.runtime, max_turns=2)
    first = await play(team.run_stream(task="go"))
    second = await play(team.run_stream())
    assert [text.split(":")[0] for text in texts(first)[1:] + texts(second)] == ["ann", "bob", "cid", "ann"]
    return [*first, *second]


async def human(cast: Cast) -> Facts:
    """A human is asked where the participant is, and the request for it is seen."""

    def answer(prompt: str) -> str:
        return "Go on." if prompt else ""

    proxy = await cast.seat(lambda: UserProxyAgent("human", input_func=answer))
    helper = await cast.seat(lambda: Actor("helper", "Shall I?"))
    team = RoundRobinGroupChat([helper, proxy], runtime=cast.runtime, max_turns=2)
    said = await play(team.run_stream(task="go"))
    assert texts(said)[1:] == ["helper: Shall I? (1)", "human: Go on."]
    assert "UserInputRequestedEvent" in [one["type"] for one in said[:-1]]
    return said


async def tools_that_are_agents(cast: Cast) -> Facts:
    """An agent that uses an agent and a team as its tools; the team lives in a runtime, too."""
    runtime = None if cast.served else cast.runtime
    # The served agent makes its tools where it is, and they have runtimes of their own there.

    def chief() -> AssistantAgent:
        adviser = AssistantAgent("adviser", model("Take an umbrella."), description="advises")
        pair = RoundRobinGroupChat(
            [Actor("ann", "yes"), Actor("bob", "no")], runtime=runtime, max_turns=2, name="jury", description="judges"
        )
        script = calls("adviser", '{"task": "rain?"}'), calls("jury", '{"task": "true?"}'), "Decided."
        return AssistantAgent(
            "chief",
            model(*script),
            tools=[AgentTool(adviser), TeamTool(pair, "jury", "judges")],
            max_tool_iterations=3,
        )

    team = RoundRobinGroupChat([await cast.seat(chief)], runtime=cast.runtime, max_turns=1)
    said = await play(team.run_stream(task=TextMessage(content="Should we go?", source="user")))
    results = [one["content"][0]["content"] for one in said[:-1] if one["type"] == "ToolCallExecutionEvent"]
    assert "Take an umbrella." in results[0]
    assert "no (2)" in results[1]
    return said
