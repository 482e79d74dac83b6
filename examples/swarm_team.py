"""Agents that hand a customer over to each other, and to the customer when they need to know something.

It runs offline with scripted answers. With AUTOGEN_EXAMPLE_MODEL=local the local model answers instead: it is too small to
follow every rule, so expect it to answer where it should hand over.
"""

import asyncio

from _models import model_client
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import HandoffTermination, MaxMessageTermination, TextMentionTermination
from autogen_agentchat.messages import BaseChatMessage, HandoffMessage
from autogen_agentchat.teams import Swarm
from autogen_agentchat.ui import Console
from autogen_core import FunctionCall
from autogen_core.models import CreateResult, RequestUsage

TASK = "Please transfer me to the workshop, my bicycle is broken again."
CUSTOMER_SAYS = ["The order number is 42."]


def look_up_order(number: int) -> str:
    """Look up an order by its number."""
    return f"Order {number}: new brakes, two years of guarantee."


def call(name: str, arguments: str = "{}") -> CreateResult:
    """Script an answer of a model that calls a tool."""
    made = FunctionCall(id=f"call-{name}", name=name, arguments=arguments)
    usage = RequestUsage(prompt_tokens=0, completion_tokens=0)
    return CreateResult(finish_reason="function_calls", content=[made], usage=usage, cached=False)


def make_team() -> Swarm:
    """Make the reception and the workshop, each with those to whom it may hand over."""
    reception = AssistantAgent(
        "reception",
        model_client([call("transfer_to_workshop")]),
        handoffs=["workshop"],
        system_message="You are the reception of a bicycle shop. Hand over to the workshop whatever is broken.",
    )
    workshop = AssistantAgent(
        "workshop",
        model_client(
            [
                call("transfer_to_customer"),
                call("look_up_order", '{"number": 42}'),
                "The brakes are under guarantee: bring the bicycle any time. GOODBYE",
            ]
        ),
        tools=[look_up_order],
        handoffs=["customer"],
        max_tool_iterations=3,
        system_message="You are the workshop. Hand over to the customer to ask for the number of the order; look it up; "
        "then answer in one sentence and add GOODBYE.",
    )
    stop = HandoffTermination("customer") | TextMentionTermination("GOODBYE") | MaxMessageTermination(6)
    return Swarm([reception, workshop], termination_condition=stop)


async def main() -> None:
    """Run the team; whenever it hands over to the customer, let the customer answer whoever asked."""
    team, answers = make_team(), iter(CUSTOMER_SAYS)
    said: list[BaseChatMessage] = []
    task: str | HandoffMessage = TASK
    while True:
        result = await Console(team.run_stream(task=task))
        said += [message for message in result.messages if isinstance(message, BaseChatMessage)]
        last, answer = said[-1], next(answers, None)
        if not isinstance(last, HandoffMessage) or last.target != "customer" or answer is None:
            break
        task = HandoffMessage(content=answer, source="customer", target=last.source)
    print(f"\n{' -> '.join(message.source for message in said)}. {result.stop_reason}")


if __name__ == "__main__":
    asyncio.run(main())
