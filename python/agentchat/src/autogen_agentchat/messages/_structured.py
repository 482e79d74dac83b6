"""Messages whose content is a pydantic model, and a factory that makes the message type from a model or a JSON schema.

Stands on the base classes and on components; knows no agent and no team.
"""

from typing import Any, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, computed_field

from autogen_agentchat.messages._base import BaseChatMessage
from autogen_core import Component, ComponentBase
from autogen_core.models import UserMessage

StructuredContentType = TypeVar("StructuredContentType", bound=BaseModel, covariant=True)
"""The type of the content of a structured message."""


class StructuredMessage(BaseChatMessage, Generic[StructuredContentType]):
    """A message whose content is a value of a pydantic model, `StructuredMessage[Answer]`.

    Teams that pass such messages on must know the type: give it to the team as one of its `custom_message_types`.
    """

    content: StructuredContentType
    """The value."""

    format_string: str | None = None
    """How a human reads it, a `str.format` text over the fields of the content. `None` shows JSON."""

    @computed_field
    @property
    def type(self) -> str:
        """The name of the class, for example `StructuredMessage[Answer]`."""
        return type(self).__name__

    def to_text(self) -> str:
        if self.format_string is None:
            return self.content.model_dump_json()
        return self.format_string.format(**self.content.model_dump())

    def to_model_text(self) -> str:
        return self.to_text()

    def to_model_message(self) -> UserMessage:
        return UserMessage(content=self.content.model_dump_json(), source=self.source)


class StructureMessageConfig(BaseModel):
    """The saved form of a `StructuredMessageFactory`."""

    model_config = ConfigDict(defer_build=True)

    json_schema: dict[str, Any]
    format_string: str | None = None
    content_model_name: str


class StructuredMessageFactory(ComponentBase[StructureMessageConfig], Component[StructureMessageConfig]):
    """Makes the type of a structured message from a pydantic model, or from a JSON schema, and can be saved.

    Args:
        json_schema: The schema of the content; it wins over `input_model`.
        input_model: The model of the content.
        format_string: How a human reads messages of this type, see `StructuredMessage.format_string`.
        content_model_name: The name of the model made from `json_schema`, by default `GeneratedContentModel`. It is
            part of the name of the message type. A model that is given keeps its own name.

    Attributes:
        ContentModel: The model of the content.
        StructuredMessage: The message type.
        format_string: As given.

    Raises:
        ValueError: Neither a schema nor a model was given.
    """

    component_config_schema = StructureMessageConfig
    component_provider_override = "autogen_agentchat.messages.StructuredMessageFactory"
    component_type = "structured_message"

    def __init__(
        self,
        json_schema: dict[str, Any] | None = None,
        input_model: type[BaseModel] | None = None,
        format_string: str | None = None,
        content_model_name: str | None = None,
    ) -> None:
        self.format_string = format_string
        if json_schema:
            # Needed only for schemas, and not cheap to import.
            from autogen_core.utils import schema_to_pydantic_model

            self.ContentModel: type[BaseModel] = schema_to_pydantic_model(
                json_schema, model_name=content_model_name or _GENERATED_NAME
            )
        elif input_model is not None:
            self.ContentModel = input_model
        else:
            raise ValueError(
                "A structured message needs a content type: pass `input_model`, a pydantic model, or `json_schema`, "
                "a JSON schema of an object."
            )
        self.StructuredMessage = StructuredMessage[self.ContentModel]

    def _to_config(self) -> StructureMessageConfig:
        return StructureMessageConfig(
            json_schema=self.ContentModel.model_json_schema(),
            format_string=self.format_string,
            content_model_name=self.ContentModel.__name__,
        )

    @classmethod
    def _from_config(cls, config: StructureMessageConfig) -> Self:
        return cls(
            json_schema=config.json_schema,
            format_string=config.format_string,
            content_model_name=config.content_model_name,
        )


_GENERATED_NAME = "GeneratedContentModel"
