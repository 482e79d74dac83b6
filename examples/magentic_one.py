"""A Magentic-One team: an orchestrator lists facts, plans, says who does what, and plans anew when the team is stuck.

It runs on a scripted model, whose first plan leads nowhere. With AUTOGEN_EXAMPLE_MODEL=local it runs on the model of this
machine, which is too small to lead a team well; the run ends with a reason all the same.
"""

import asyncio
import json

from _models import model_client
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import MagenticOneGroupChat
from autogen_agentchat.ui import Console
from autogen_core import FunctionCall
from autogen_core.models import CreateResult, RequestUsage

TASK = "How many years passed between the opening of the Bergen Line and that of the Flåm Line? Answer in a sentence."
OPENED = {"bergen line": 1909, "flåm line": 1940}


async def opening_year(railway: str) -> str:
    """Look up the year in which a railway was opened."""
    year = OPENED.get(railway.lower())
    return f"No railway of the name {railway!r} is known." if year is None else f"The {railway} was opened in {year}."


def ledger(speaker: str, instruction: str, *, done: bool = False, progress: bool = True) -> str:
    """Write a progress ledger, as a model would."""
    answers = {
        "is_request_satisfied": done,
        "is_in_loop": False,
        "is_progress_being_made": progress,
        "next_speaker": speaker,
        "instruction_or_question": instruction,
    }
    reason = "Both years and the difference are there." if done else "The years have to be known first."
    return json.dumps({key: {"reason": reason, "answer": answer} for key, answer in answers.items()})


def look_up(railway: str) -> CreateResult:
    """Call the tool, as a model would."""
    call = FunctionCall(id=railway, name="opening_year", arguments=json.dumps({"railway": railway}))
    usage = RequestUsage(prompt_tokens=20, completion_tokens=10)
    return CreateResult(finish_reason="function_calls", content=[call], usage=usage, cached=False)


async def main() -> None:
    """Make the team, run it, and say what it took."""
    researcher = AssistantAgent(
        "researcher",
        model_client([look_up("Bergen Railway"), look_up("Bergen Line"), look_up("Flåm Line")]),
        tools=[opening_year],
        description="Looks up when railways were opened, one railway at a time.",
        system_message="Answer with the help of your tool.",
    )
    calculator = AssistantAgent(
        "calculator",
        model_client(["1940 - 1909 = 31 years."]),
        description="Does sums.",
        system_message="Do the sum in one line.",
    )
    orchestrator = model_client(
        [
            "1. GIVEN: two railways.\n2. TO LOOK UP: two years.\n3. TO DERIVE: the difference.\n4. EDUCATED GUESSES: none",
            "- researcher looks up both years\n- calculator takes the difference",
            ledger("researcher", "When was the Bergen Railway opened?"),
            ledger("researcher", "Try again.", progress=False),
            "2. TO LOOK UP: two years; the railway is called Bergen Line.\n3. TO DERIVE: the difference.",
            "The name was wrong.\n- researcher looks up Bergen Line, then Flåm Line\n- calculator takes the difference",
            ledger("researcher", "When was the Bergen Line opened?"),
            ledger("researcher", "And the Flåm Line?"),
            ledger("calculator", "How many years are there from 1909 to 1940?"),
            ledger("calculator", "", done=True),
            "31 years passed: the Bergen Line opened in 1909, the Flåm Line in 1940.",
        ]
    )
    team = MagenticOneGroupChat([researcher, calculator], orchestrator, max_turns=8, max_stalls=1)
    result = await Console(team.run_stream(task=TASK))
    used: dict[str, int] = {}
    for message in result.messages:
        if message.models_usage is not None:
            tokens = message.models_usage.prompt_tokens + message.models_usage.completion_tokens
            used[message.source] = used.get(message.source, 0) + tokens
    print(f"\nIt ended because: {result.stop_reason}")
    print(", ".join(f"{name}: {tokens} tokens" for name, tokens in used.items()))


if __name__ == "__main__":
    asyncio.run(main())
