"""The base of every part's configuration, which comes from a stack's YAML."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A part of the configuration: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
