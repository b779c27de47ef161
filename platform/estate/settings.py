"""The base of every part's configuration, which comes from a stack's YAML."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A part of the configuration: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


LogDays = Literal[7, 14, 30, 60, 90, 180, 365]
"""For how long a log group keeps what is written to it."""
