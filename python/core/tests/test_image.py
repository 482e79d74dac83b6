"""Images: made from what people have, and what they look like in JSON."""

import base64
import io
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image as PILImage
from PIL import UnidentifiedImageError
from pydantic import BaseModel, ValidationError

from autogen_core import Image

RED_DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"


class Page(BaseModel):
    parts: list[str | Image]


def dot(mode: str = "RGB") -> PILImage.Image:
    return PILImage.new(mode, (1, 1), "red")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_any_kind_of_picture_becomes_rgb(mode: str) -> None:
    image = Image.from_pil(dot(mode))
    assert image.image.mode == "RGB"
    assert image.image.getpixel((0, 0)) == (255, 0, 0)


def test_an_image_goes_through_base64_and_a_data_uri_unchanged() -> None:
    image = Image(dot())
    assert image.to_base64() == RED_DOT
    assert image.data_uri == f"data:image/png;base64,{RED_DOT}"
    for copy in (Image.from_base64(RED_DOT), Image.from_uri(image.data_uri)):
        assert copy.image.getpixel((0, 0)) == (255, 0, 0)


def test_a_data_uri_may_hold_other_formats() -> None:
    buffer = io.BytesIO()
    dot().save(buffer, "JPEG")
    uri = f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    assert Image.from_uri(uri).image.size == (1, 1)


@pytest.mark.parametrize("uri", ["http://example.com/a.png", "data:image/png,abc", "data:text/plain;base64,abc"])
def test_other_uris_are_refused_and_nothing_is_fetched(uri: str) -> None:
    with pytest.raises(ValueError, match="Invalid URI format"):
        Image.from_uri(uri)


def test_data_that_is_no_image_is_refused() -> None:
    with pytest.raises(UnidentifiedImageError):
        Image.from_base64(base64.b64encode(b"no image").decode())


def test_a_file_is_read_and_closed(tmp_path: Path) -> None:
    path = tmp_path / "dot.png"
    dot().save(path)
    image = Image.from_file(path)
    path.unlink()
    assert image.to_base64() == RED_DOT


def test_the_content_part_for_openai_holds_the_data_uri() -> None:
    assert Image(dot()).to_openai_format("low") == {
        "type": "image_url",
        "image_url": {"url": f"data:image/png;base64,{RED_DOT}", "detail": "low"},
    }


def test_a_model_with_images_round_trips_through_json() -> None:
    page = Page(parts=["text", Image(dot())])
    assert page.model_dump() == {"parts": ["text", {"data": RED_DOT}]}
    copy = Page.model_validate_json(page.model_dump_json())
    assert isinstance(copy.parts[1], Image)
    assert copy.parts[1].to_base64() == RED_DOT


@pytest.mark.parametrize("part", [{"data": "no base64!"}, {"data": RED_DOT[:40]}, {"data": 3}, {"uri": "x"}, 3])
def test_a_model_refuses_what_is_no_image(part: object) -> None:
    with pytest.raises(ValidationError):
        Page.model_validate({"parts": [part]})


def test_the_schema_of_an_image_is_an_object_with_data() -> None:
    items = Page.model_json_schema()["properties"]["parts"]["items"]
    assert [branch["type"] for branch in items["anyOf"]] == ["string", "object"]


def test_notebooks_show_the_picture() -> None:
    assert Image(dot())._repr_html_() == f'<img src="data:image/png;base64,{RED_DOT}"/>'


def test_pillow_and_pydantic_are_loaded_only_when_used() -> None:
    program = "import sys, autogen_core._image; sys.exit('PIL' in sys.modules or 'pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
