"""A team says the same on every runtime, with its participants in its own process or served by another worker."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from . import teams_messages as messages
from . import teams_moments as moments
from . import teams_scenarios as scenarios
from .runtimes import System, systems
from .teams_cast import Cast, Facts

SCENARIOS: list[Callable[[Cast], Awaitable[Facts]]] = [
    scenarios.round_robin_with_tools,
    scenarios.tokens,
    messages.structured_output,
    scenarios.swarm,
    scenarios.selector_function,
    scenarios.selector_model,
    scenarios.graph,
    scenarios.magentic_one,
    scenarios.society_of_mind,
    scenarios.nested_team,
    scenarios.conditions,
    scenarios.max_turns,
    messages.custom_messages,
    messages.images,
    scenarios.human,
    scenarios.tools_that_are_agents,
    moments.cancelled,
    moments.closed_early,
    moments.paused,
    moments.paused_and_run_again,
    moments.injected,
    moments.reset,
    moments.saved_and_loaded,
    moments.saved_in_mid_turn,
    moments.failed,
    moments.two_runs,
    moments.two_teams,
    moments.stopped_from_outside,
]


@dataclass(frozen=True)
class Stage:
    """A runtime, and where the participants are."""

    system: System
    served: bool

    def __str__(self) -> str:
        return f"{self.system.name}-{'served' if self.served else 'own'}"


def stages() -> list[Stage]:
    """All runtimes there are, each with participants of the team's own, and with participants served by a worker."""
    found: list[Stage] = []
    for system in systems():
        if system.placement == "here":
            found.append(Stage(system, served=False))
        if system.placement == "there" or system.name == "local":  # the local runtime has one worker, which serves
            found.append(Stage(system, served=True))
    return found


@pytest.mark.parametrize("stage", stages(), ids=str)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_a_team_says_the_same_as_on_a_runtime_of_its_own(
    scenario: Callable[[Cast], Awaitable[Facts]], stage: Stage
) -> None:
    expected = await scenario(Cast())
    async with stage.system.world() as world:
        found = await scenario(Cast(world.runtime, world.agents if stage.served else None))
    assert found == expected
