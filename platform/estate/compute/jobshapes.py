"""The size of each job: what a stack may decide of it, and what Glue is told."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from estate.settings import Settings

BatchWorker = Literal["G.1X", "G.2X", "G.4X", "G.8X", "R.1X", "R.2X"]
_BATCH_WORKERS = ("G.1X", "G.2X", "G.4X", "G.8X", "R.1X", "R.2X")


class IngestConfig(Settings):
    """The ingest job of every group of streams."""

    continuous: bool = True
    """Whether it runs all the time; else scheduled runs drain the streams and end."""
    worker_type: Literal[BatchWorker, "G.025X"] = "G.1X"
    workers: int = Field(default=2, ge=2, le=100)
    autoscaling: bool = False
    """Whether Glue takes workers away that have nothing to do; ``workers`` are then the most."""
    timeout_minutes: int = Field(default=60, ge=5, le=2880)
    """Bound of a draining run. A continuous run has none: Glue would not restart it."""
    maintenance_window: str = Field(
        default="Sun:10", pattern=r"^(Sun|Mon|Tue|Wed|Thu|Fri|Sat):(1?\d|2[0-3])$"
    )
    """Day and hour, UTC, in which Glue may restart a continuous run."""
    paused: bool = False
    """Whether nothing is to be ingested: runs end between two loads, and none is started."""
    every_minutes: int = Field(default=5, ge=1, le=360)
    """How often a run is started: a draining one, or a continuous one that runs no more."""

    @model_validator(mode="after")
    def _worker_fits_mode(self) -> IngestConfig:
        if not self.continuous and self.worker_type not in _BATCH_WORKERS:
            raise ValueError(f"worker_type {self.worker_type} is for continuous jobs; take G.1X")
        return self

    def silent_minutes(self) -> int | None:
        """How long nothing may be heard of it before it is absent; None: it is to be silent."""
        if self.paused:
            return None
        return 15 if self.continuous else 3 * self.every_minutes + self.timeout_minutes

    def late_minutes(self) -> int:
        """How far behind its streams it may be."""
        return 15 if self.continuous else 15 + self.every_minutes


class BatchConfig(Settings):
    """A batch job."""

    worker_type: BatchWorker = "G.1X"
    workers: int = Field(default=2, ge=2, le=100)
    autoscaling: bool = False
    """Whether Glue takes workers away that have nothing to do; ``workers`` are then the most."""
    timeout_minutes: int = Field(default=60, ge=5, le=2880)
    execution_class: Literal["STANDARD", "FLEX"] = "STANDARD"

    @model_validator(mode="after")
    def _flex_fits_worker(self) -> BatchConfig:
        if self.execution_class == "FLEX" and self.worker_type not in {"G.1X", "G.2X"}:
            raise ValueError("execution_class FLEX runs on G.1X and G.2X workers only")
        return self


def scaling(config: IngestConfig | BatchConfig) -> dict[str, str]:
    """The argument by which Glue follows the load up to the number of workers."""
    return {"--enable-auto-scaling": "true"} if config.autoscaling else {}


def once(config: IngestConfig) -> dict[str, str]:
    """The argument that says whether a run ends when its streams are drained."""
    return {"--once": "false" if config.continuous else "true"}


def ingest_shape(config: IngestConfig) -> dict[str, Any]:
    """Glue's inputs for an ingest job, and ``command``: the kind of job it is."""
    size = {"worker_type": config.worker_type, "number_of_workers": config.workers}
    if config.continuous:
        # A streaming job with a timeout under seven days is not restarted in its window.
        return {
            "command": "gluestreaming",
            "maintenance_window": config.maintenance_window,
            **size,
        }
    return {"command": "glueetl", "timeout": config.timeout_minutes, **size}


def batch_shape(config: BatchConfig) -> dict[str, Any]:
    """Glue's inputs for a batch job, and ``command``: the kind of job it is."""
    return {
        "command": "glueetl",
        "worker_type": config.worker_type,
        "number_of_workers": config.workers,
        "timeout": config.timeout_minutes,
        "execution_class": config.execution_class,
    }
