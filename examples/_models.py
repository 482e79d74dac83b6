"""Which model the examples ask: a script, so that they run anywhere, or with AUTOGEN_EXAMPLE_MODEL=local the local one."""

import os

from autogen_core.models import ChatCompletionClient, CreateResult, ModelInfo
from autogen_ext.models.replay import ReplayChatCompletionClient


def model_client(script: list[str | CreateResult]) -> ChatCompletionClient:
    """Make a model client for one agent or team.

    Args:
        script: What the scripted model answers, one call after the other. The local model answers for itself.

    Raises:
        ValueError: AUTOGEN_EXAMPLE_MODEL names no model that there is.
    """
    model = os.environ.get("AUTOGEN_EXAMPLE_MODEL", "script")
    if model == "script":
        info = ModelInfo(
            vision=False, function_calling=True, json_output=True, family="unknown", structured_output=True
        )
        return ReplayChatCompletionClient(script, info)
    if model == "local":
        from autogen_ext.models.local import LocalChatCompletionClient

        return LocalChatCompletionClient(max_tokens=60)  # a small model that has begun to ramble does not stop
    raise ValueError(f"AUTOGEN_EXAMPLE_MODEL is {model!r}; expected 'local', or leave it unset for the script.")
