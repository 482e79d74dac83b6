"""A tool of your own: a class that says what it takes and returns, for when a function is not enough."""

import asyncio
import json
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, Field

from autogen_agentchat.agents import AssistantAgent
from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import CreateResult, RequestUsage
from autogen_core.tools import BaseTool
from autogen_ext.models.replay import ReplayChatCompletionClient


class RouteArgs(BaseModel):
    """What the model has to fill in."""

    stops: list[str] = Field(description="The places to visit, in order.", min_length=2)


class Route(BaseModel):
    """What the tool returns."""

    km: int


class RouteTool(BaseTool[RouteArgs, Route]):
    """Adds up distances from its own map, which the model never sees."""

    def __init__(self, distances_km: dict[tuple[str, str], int]) -> None:
        super().__init__(RouteArgs, Route, "route_length", "Compute the length of a route in km.")
        self._distances_km = distances_km

    async def run(self, args: RouteArgs, cancellation_token: CancellationToken) -> Route:
        """Add up the distances between neighbouring stops."""
        return Route(km=sum(self._distances_km[pair] for pair in pairwise(args.stops)))

    def return_value_as_string(self, value: Any) -> str:
        """What the model is told; without this method, the result as JSON."""
        return f"{value.km} km"


async def main() -> None:
    """Let an agent call the tool; its model is a script, so that this runs anywhere."""
    tool = RouteTool({("Oslo", "Bergen"): 463, ("Bergen", "Stavanger"): 210})
    print(tool.schema["name"], json.dumps(tool.schema.get("parameters"), sort_keys=True))
    call = FunctionCall("1", '{"stops": ["Oslo", "Bergen", "Stavanger"]}', tool.name)
    asks = CreateResult(finish_reason="function_calls", content=[call], usage=RequestUsage(10, 5), cached=False)
    model = ReplayChatCompletionClient([asks], {**ReplayChatCompletionClient([]).model_info, "function_calling": True})
    agent = AssistantAgent("guide", model, tools=[tool], tool_call_summary_format="The route is {result} long.")
    result = await agent.run(task="How long is the way from Oslo to Stavanger by Bergen?")
    print(result.messages[-1].to_text())


if __name__ == "__main__":
    asyncio.run(main())
