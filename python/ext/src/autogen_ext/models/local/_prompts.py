"""What small models are told, beside the conversation: instructions and demonstrations. Text, and how it is laid out.

Every wording here was measured; the figures are in docs/guides/local-models.md, with the cases. The demonstrations use
tools that no program has, so that a model learns the form and not an answer. Stands on nothing; knows no engine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Message = dict[str, Any]
"""A message in OpenAI's form."""

FINAL_ANSWER = "final_answer"
"""The pretended tool that stands for an answer in words."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model is shown of a tool."""

    name: str
    parameters: Sequence[str]
    description: str

    def __str__(self) -> str:
        """Return one line: name, parameters and description."""
        return f"- {self.name}({', '.join(self.parameters)}): {' '.join(self.description.split())}"


_TOOL_SYSTEM = (
    "You call tools. Reply with one JSON object: the tool and its arguments, copied word for word from the request."
)
_ANSWER_LINE = Signature(FINAL_ANSWER, (), "answer without a tool")
_DEMO_TOOLS = (
    Signature("find_book", ("title",), "Find a book by its title."),
    Signature("add", ("a", "b"), "Add two numbers."),
)


_TOOLS_SYSTEM = (
    "You call tools. Reply with a JSON list: each tool that is needed and its arguments, copied word for word from the "
    "request."
)


def tool_demonstrations(system: str, *, leading_space: bool) -> list[Message]:
    """Return how a conversation begins in which tools are chosen: an instruction, and four choices that were right.

    Args:
        system: What the user's own system message says; may be empty.
        leading_space: Whether texts in arguments begin with a space; see `_schemas`.
    """
    space = " " if leading_space else ""
    answer = f'{{"tool": "{FINAL_ANSWER}"}}'
    demonstrations = (
        (_DEMO_TOOLS[:1], "Hello, how are you?", answer),
        (_DEMO_TOOLS, "What is 17 plus 25?", '{"tool": "add", "arguments": {"a": 17, "b": 25}}'),
        (_DEMO_TOOLS, "Thanks, that is all.", answer),
        (
            _DEMO_TOOLS,
            "Do you have the book Moby Dick?",
            f'{{"tool": "find_book", "arguments": {{"title": "{space}Moby Dick"}}}}',
        ),
    )
    return _demonstrated(_TOOL_SYSTEM, system, demonstrations)


def parallel_demonstrations(system: str, *, leading_space: bool) -> list[Message]:
    """Return the same for several tools at once; arguments as for `tool_demonstrations`."""
    space = " " if leading_space else ""

    def book(title: str) -> str:
        return f'{{"tool": "find_book", "arguments": {{"title": "{space}{title}"}}}}'

    demonstrations = (
        (_DEMO_TOOLS[:1], "Hello, how are you?", f'[{{"tool": "{FINAL_ANSWER}"}}]'),
        (_DEMO_TOOLS, "What is 17 plus 25?", '[{"tool": "add", "arguments": {"a": 17, "b": 25}}]'),
        (_DEMO_TOOLS, "Do you have the books Moby Dick and Emma?", f"[{book('Moby Dick')}, {book('Emma')}]"),
        (_DEMO_TOOLS, "Thanks, that is all.", f'[{{"tool": "{FINAL_ANSWER}"}}]'),
    )
    return _demonstrated(_TOOLS_SYSTEM, system, demonstrations)


def _demonstrated(
    instruction: str, system: str, demonstrations: Sequence[tuple[Sequence[Signature], str, str]]
) -> list[Message]:
    messages: list[Message] = [{"role": "system", "content": "\n\n".join(filter(None, (instruction, system)))}]
    for tools, request, choice in demonstrations:
        messages.append({"role": "user", "content": tool_request(tools, request)})
        messages.append({"role": "assistant", "content": choice})
    return messages


def tool_request(tools: Sequence[Signature], request: str) -> str:
    """Return a request, with the tools to choose from."""
    lines = "\n".join(str(tool) for tool in (*tools, _ANSWER_LINE))
    return f"Tools:\n{lines}\n\nRequest: {request}"


def result_line(name: str, result: str) -> str:
    """Return how the result of a tool is told in a conversation without roles for tools."""
    return f"Result of {name}: {result}"


DEFAULT_SYSTEM = "You are a helpful AI assistant."
"""The system message of the smallest models where the user has none: what their chat template puts there misleads them."""

ANSWER_FROM_RESULT = "Answer the request in one or two sentences, using the result."
"""Follows the results when a model that follows instructions is to answer in words."""


_REPORTS = (
    ("Call Peter.", "Peter was called and said he is coming at 6.", "Peter was called and said he is coming at 6."),
    ("What is 17 plus 25?", "42", "17 plus 25 is 42."),
    (
        "Do you have the book Moby Dick?",
        "title: Moby Dick, copies: 3, shelf: B",
        "Yes, there are 3 copies of Moby Dick on shelf B.",
    ),
    (
        "When does the train to Munich leave?",
        "9:15, platform 4, 10 minutes late",
        "The train to Munich leaves at 9:15 from platform 4, 10 minutes late.",
    ),
)


def report_messages(question: str, result: str) -> list[Message]:
    """Return a conversation whose next message reports a result in one sentence.

    The smallest models lose the thread in a whole conversation, so they are shown the question and the result only.
    """
    messages: list[Message] = [
        {"role": "system", "content": "Answer in one sentence. Repeat every fact of the result."}
    ]
    for asked, found, said in _REPORTS:
        messages.append({"role": "user", "content": _report_request(asked, found)})
        messages.append({"role": "assistant", "content": said})
    messages.append({"role": "user", "content": _report_request(question, result)})
    return messages


def _report_request(question: str, result: str) -> str:
    return f"Question: {question}\nResult: {result}"
