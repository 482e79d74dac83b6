"""A run on the console: what is said as it is said, and questions to the user."""

from autogen_agentchat.ui._console import Console
from autogen_agentchat.ui._user_input import UserInputManager

__all__ = ["Console", "UserInputManager"]
