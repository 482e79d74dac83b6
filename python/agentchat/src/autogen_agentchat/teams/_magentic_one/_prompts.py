"""What the orchestrator says to its model and to the team. The words are ours.

The method is that of Fourney et al. (2024), "Magentic-One: A Generalist Multi-Agent System for Solving Complex Tasks",
arXiv:2411.04468: a task ledger of facts and a plan, a progress ledger before each turn, and a new plan when the team
stalls. Texts of others are put in whole, never formatted: they may hold braces.
"""

from collections.abc import Iterable, Sequence

FINAL_ANSWER_PROMPT = """\
The work on this request has come to its end:

{task}

Everything that was said and found stands above. Write the answer that the person who asked will read: state the result \
first, then what they need to know to rely on it. If something they asked for was not found or not done, say so."""
"""The default for the final answer. `{task}` stands for the task."""


def final_answer(prompt: str, task: str) -> str:
    """Ask for the answer to the task."""
    return prompt.replace("{task}", task)


def team_text(members: Iterable[tuple[str, str]]) -> str:
    """List names and descriptions, one a line."""
    return "\n".join(f"- {name}: {' '.join(description.split())}" for name, description in members)


def first_facts(task: str) -> str:
    """Ask what is known before anything was tried."""
    return f"""\
This request has come in:

{task}

Do not solve it yet. First take stock of what is known, from the request itself and from your own knowledge. Use exactly \
these four headings, with short points under each, or "none":

1. GIVEN: facts, names, figures and wishes stated in the request.
2. TO LOOK UP: what somebody has to find, and where it is likely to be.
3. TO DERIVE: what follows from other facts by thinking, computing or running something.
4. EDUCATED GUESSES: what you remember or assume without being certain. Mark each as unproven.

Write only this list: no plan and no next steps."""


def first_plan(team: str) -> str:
    """Ask for a plan that fits the facts just listed."""
    return f"""\
These are the members of the team, and nobody else can help:

{team}

Using the facts you listed, write a plan for answering the request: a few short points in order, each naming who does \
what. Leave out members who are not needed."""


def new_facts(task: str, facts: str) -> str:
    """Ask what is known after a plan did not work."""
    return f"""\
The team is not getting on with this request:

{task}

This was the list of facts before the last attempt:

{facts}

Compare it with the conversation above and write it anew, under the same headings GIVEN, TO LOOK UP, TO DERIVE and \
EDUCATED GUESSES: what was found out goes under GIVEN with its source, what was refuted goes out, and what the attempt \
showed to be missing comes in."""


def new_plan(team: str) -> str:
    """Ask for a plan that avoids what went wrong."""
    return f"""\
First say, in a sentence or two, what the last plan took for granted that did not hold. Then write another plan, as \
short points in order, each naming who does what, which takes a different way at that point. The members of the team \
are the same:

{team}"""


def briefing(task: str, team: str, facts: str, plan: str) -> str:
    """Tell the team what it is to do. Everything before is forgotten, so this has to say all."""
    return f"""\
The team has this task:

{task}

MEMBERS

{team}

FACTS

{facts}

PLAN

{plan}"""


def progress(task: str, team: str, names: Sequence[str]) -> str:
    """Ask for the progress ledger."""
    choice = ", ".join(f'"{name}"' for name in names)
    return f"""\
Look at how the work on this request stands:

{task}

The members of the team:

{team}

Answer five questions, the reason always before the answer:

- is_request_satisfied: has everything that was asked for been done, so that only the answer remains to be written?
- is_in_loop: do the last messages ask for or give the same thing over again?
- is_progress_being_made: did the last messages bring the team further? At the start, before anybody spoke, this is true.
- next_speaker: which member should act now? One of {choice}.
- instruction_or_question: what should this member do or answer now? Speak to the member, and give every detail that is \
needed.

Reply with one JSON object of this form and nothing else:

{{
  "is_request_satisfied": {{"reason": "...", "answer": true or false}},
  "is_in_loop": {{"reason": "...", "answer": true or false}},
  "is_progress_being_made": {{"reason": "...", "answer": true or false}},
  "next_speaker": {{"reason": "...", "answer": "name"}},
  "instruction_or_question": {{"reason": "...", "answer": "text"}}
}}"""


def correction(problems: Sequence[str]) -> str:
    """Say what was wrong with a ledger, and ask for it again."""
    points = "\n".join(f"- {problem}" for problem in problems)
    return f"""\
That reply could not be used:

{points}

Write the whole JSON object again, with all five keys and nothing before or after it."""
