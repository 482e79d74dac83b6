"""A graph of agents: two critics work at the same time, and the writer tries again until the editor is content.

It runs offline with scripted answers. With AUTOGEN_EXAMPLE_MODEL=local the local model answers instead: it is too small to be a
good critic, so expect long answers and an early end.
"""

import asyncio

from _models import model_client
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import BaseChatMessage
from autogen_agentchat.teams import DiGraphBuilder, GraphFlow
from autogen_agentchat.ui import Console


def redo(message: BaseChatMessage) -> bool:
    """Whether the editor sends the writer back."""
    return "REDO" in message.to_text()


def content(message: BaseChatMessage) -> bool:
    """Whether the editor is content."""
    return not redo(message)


def build() -> GraphFlow:
    """Make the team: writer, then both critics, then the editor, who may send the writer back."""
    writer = AssistantAgent(
        "writer",
        model_client(["Roses is green.", "Roses are red."]),
        system_message="Write one short line about what you are asked for. If you are criticised, write it better.",
    )
    grammar = AssistantAgent(
        "grammar",
        model_client(["It is 'roses are'.", "No mistakes."]),
        system_message="Look for mistakes in the writer's last line, and name them in one short sentence.",
    )
    facts = AssistantAgent(
        "facts",
        model_client(["Few roses are green.", "That is so."]),
        system_message="Say in one short sentence whether the writer's last line is true.",
    )
    editor = AssistantAgent(
        "editor",
        model_client(["REDO", "Good."]),
        system_message="If the critics found something wrong with the last line answer REDO, else answer GOOD.",
    )
    printer = AssistantAgent(
        "printer", model_client(["Roses are red."]), system_message="Repeat the writer's last line, and nothing else."
    )
    builder = DiGraphBuilder()
    builder.add_node(writer).add_node(grammar).add_node(facts).add_node(editor).add_node(printer)
    builder.set_entry_point(writer)
    builder.add_edge(writer, grammar).add_edge(writer, facts)
    builder.add_edge(grammar, editor).add_edge(facts, editor)
    builder.add_edge(editor, writer, condition=redo).add_edge(editor, printer, condition=content)
    # The two critics are one turn: two rounds of three turns, and one for the printer. A model may never be content.
    return GraphFlow(builder.get_participants(), builder.build(), max_turns=7)


async def main() -> None:
    """Run the team and print what it says as it says it."""
    result = await Console(build().run_stream(task="A line about roses."))
    print(result.stop_reason)


if __name__ == "__main__":
    asyncio.run(main())
