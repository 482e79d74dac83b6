"""Small helpers for the content of messages."""

from autogen_agentchat.utils._utils import content_to_str, remove_images

__all__ = ["content_to_str", "remove_images"]
