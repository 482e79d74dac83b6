"""Helpers for JSON: finding it in a model's text, and turning its schemas into pydantic models."""

from ._json import extract_json_from_str
from ._json_to_pydantic import SchemaConversionError, schema_to_pydantic_model

__all__ = ["SchemaConversionError", "extract_json_from_str", "schema_to_pydantic_model"]
