"""An image that travels in messages. Loads Pillow and pydantic only when an image is made or a model is built with it.

Stands on nothing; must not know messages or models.
"""

import base64
import re
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

if TYPE_CHECKING:
    from PIL import Image as PILImage
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core.core_schema import CoreSchema

_DATA_URI = re.compile(r"data:image/[\w.+\-]+;base64,(?P<data>.*)", re.DOTALL)


class Image:
    """A picture in RGB. In JSON it is `{"data": ...}`, a PNG in base64.

    Attributes:
        image: The Pillow image.
    """

    def __init__(self, image: "PILImage.Image") -> None:
        self.image: PILImage.Image = image.convert("RGB")

    @classmethod
    def from_pil(cls, pil_image: "PILImage.Image") -> "Image":
        """Take a Pillow image. Transparency is dropped."""
        return cls(pil_image)

    @classmethod
    def from_uri(cls, uri: str) -> "Image":
        """Read a `data:image/...;base64,...` URI, in any format that Pillow knows.

        Raises:
            ValueError: It is another kind of URI; nothing is fetched from anywhere.
        """
        match = _DATA_URI.fullmatch(uri)
        if match is None:
            raise ValueError(f"Invalid URI format {uri[:40]!r}: expected 'data:image/<format>;base64,<data>'.")
        return cls.from_base64(match["data"])

    @classmethod
    def from_base64(cls, base64_str: str) -> "Image":
        """Read an image file given in base64.

        Raises:
            ValueError: The text is not base64.
            PIL.UnidentifiedImageError: The data is in no known image format.
        """
        return cls(_open(BytesIO(base64.b64decode(base64_str))))

    @classmethod
    def from_file(cls, file_path: Path) -> "Image":
        """Read an image file. Blocks while it is read; the file is closed afterwards."""
        return cls(_open(BytesIO(Path(file_path).read_bytes())))

    def to_base64(self) -> str:
        """Return the image as PNG in base64."""
        buffer = BytesIO()
        self.image.save(buffer, format="PNG")
        return base64.b64encode(buffer.getvalue()).decode("ascii")

    @property
    def data_uri(self) -> str:
        """The image as a `data:` URI of a PNG."""
        return f"data:image/png;base64,{self.to_base64()}"

    def to_openai_format(self, detail: Literal["auto", "low", "high"] = "auto") -> dict[str, Any]:
        """Return the image as a content part of OpenAI's chat completions.

        Args:
            detail: At which resolution the model shall look at it.
        """
        return {"type": "image_url", "image_url": {"url": self.data_uri, "detail": detail}}

    def _repr_html_(self) -> str:
        """Show the image in notebooks."""
        return f'<img src="{self.data_uri}"/>'

    @classmethod
    def __get_pydantic_core_schema__(cls, source_type: Any, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        """Tell pydantic to take an image, or its JSON form, and to write the JSON form."""
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(
            cls._validate, serialization=core_schema.plain_serializer_function_ser_schema(_to_json)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: "CoreSchema", handler: "GetJsonSchemaHandler") -> dict[str, Any]:
        """Describe the JSON form."""
        data = {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}
        return {"type": "object", "properties": {"data": data}, "required": ["data"]}

    @classmethod
    def _validate(cls, value: Any) -> "Image":
        if isinstance(value, Image):
            return value
        data = cast("dict[str, Any]", value).get("data") if isinstance(value, dict) else None
        if not isinstance(data, str):
            raise ValueError('Expected an Image, or {"data": "<image in base64>"}.')
        try:
            return cls.from_base64(data)
        except Exception as error:  # Pillow has many; pydantic reports value errors only
            raise ValueError(f"The data is not an image: {error}") from error


def _to_json(image: Image) -> dict[str, str]:
    return {"data": image.to_base64()}


def _open(file: BytesIO) -> "PILImage.Image":
    from PIL import Image as PILImage

    return PILImage.open(file)
