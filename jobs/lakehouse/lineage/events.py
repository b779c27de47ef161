"""OpenLineage events of what the platform does: landing, ingesting, promoting, building marts.

A run of a job is a step for one dataset, ``<step>.<dataset>`` in the namespace of the deployment's
prefix; a verdict is a run of ``gate.<dataset>``, whose input is the candidate it is on. Run ids
follow from what they stand for, so that an event sent twice is the same event.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from openlineage.client.event_v2 import (
    InputDataset,
    Job,
    OutputDataset,
    Run,
    RunEvent,
    RunState,
)
from openlineage.client.facet_v2 import (
    BaseFacet,
    RunFacet,
    data_quality_assertions_dataset,
    error_message_run,
    job_type_job,
    nominal_time_run,
    parent_run,
)

from lakehouse import __version__
from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.ingestion.loads import LoadReport
from lakehouse.lineage.datasets import Datasets
from lakehouse.lineage.facets import LoadsRunFacet, PublicationsRunFacet
from lakehouse.promotion.progress import Publication
from lakehouse.promotion.verdict import Verdict

PRODUCER: Final = f"urn:lakehouse:{__version__}"
_IDS: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:lakehouse:openlineage")


class StepRun(msgspec.Struct, frozen=True, kw_only=True):
    """One step for one dataset, as part of a run of a Glue job."""

    step: str
    contract: Contract
    run_id: str
    code: str
    began: datetime


class Done(msgspec.Struct, frozen=True):
    """What a run read and wrote, what else is told of it, and the verdicts that it got."""

    inputs: tuple[InputDataset, ...] = ()
    outputs: tuple[OutputDataset, ...] = ()
    facets: Mapping[str, RunFacet] = {}
    verdicts: tuple[Verdict, ...] = ()


class Events:
    """Makes the events of one deployment in one account."""

    def __init__(self, aws: Aws, account: str) -> None:
        self._aws = aws
        self.datasets = Datasets(aws, account)

    def start(self, step: StepRun) -> RunEvent:
        """A step begins."""
        return self._event(RunState.START, step, step.began)

    def ended(self, step: StepRun, at: datetime, done: Done, error: str) -> Iterator[RunEvent]:
        """A step ended, in an error where one is given; its verdicts come first."""
        for verdict in done.verdicts:
            yield from self.gate(step, verdict)
        facets = dict(done.facets)
        if error:
            facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(error, "PYTHON")
        told = msgspec.structs.replace(done, facets=facets)
        yield self._event(RunState.FAIL if error else RunState.COMPLETE, step, at, told)

    def gate(self, step: StepRun, verdict: Verdict) -> tuple[RunEvent, RunEvent]:
        """A verdict: begun and ended, with its checks as assertions on the candidate."""
        assertions = [
            data_quality_assertions_dataset.Assertion(
                assertion=check.type,
                success=check.outcome == "pass",
                column=check.column,
                severity="warn" if check.outcome == "warn" else "error",
                name=check.name,
                expected=check.threshold,
                actual=None if check.value is None else f"{check.value:g}",
            )
            for check in verdict.checks
        ]
        on = self.datasets.written(verdict.layer, step.contract, str(verdict.snapshot_id))
        facet = data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(assertions)
        candidate = InputDataset(
            on.namespace,
            on.name,
            facets=on.facets,
            inputFacets={"dataQualityAssertions": facet},
        )
        run = self._id("gate", verdict.dataset, str(verdict.snapshot_id))
        name, at = f"gate.{verdict.dataset}", datetime.fromisoformat(verdict.checked_at)
        parent = {"parent": self._parent(self.run_id(step), f"{step.step}.{verdict.dataset}")}
        ended = parent | (
            {}
            if verdict.passed
            else {"errorMessage": error_message_run.ErrorMessageRunFacet(verdict.reason, "SODA")}
        )
        state = RunState.COMPLETE if verdict.passed else RunState.FAIL
        return (
            self._of(RunState.START, run, name, at, Done(facets=parent)),
            self._of(state, run, name, at, Done((candidate,), facets=ended)),
        )

    def load(self, report: LoadReport, at: datetime, job: StepRun) -> tuple[RunEvent, ...]:
        """A load of a stream that is published, begun and ended; ``job`` is what ingests it."""
        contract = job.contract
        began = at - timedelta(seconds=report.seconds)
        run = self._id("ingest", contract.dataset, str(report.load))
        name = f"ingest.{contract.dataset}"
        facets: dict[str, RunFacet] = {
            "parent": self._parent(
                self._id("job", "ingest", job.run_id), self._aws.job(f"ingest-{contract.group}")
            ),
            "nominalTime": nominal_time_run.NominalTimeRunFacet(began.isoformat()),
        }
        rejected = dict(report.rejected)
        through = report.through.isoformat() if report.through else None
        loads = LoadsRunFacet([report.load], report.good, rejected, through)
        output = self.datasets.output(
            "bronze", contract, f"load {report.load}", report.good + sum(rejected.values())
        )
        return (
            self._of(RunState.START, run, name, began, Done(facets=facets)),
            self._of(
                RunState.COMPLETE,
                run,
                name,
                at,
                Done(
                    (self.datasets.stream(contract),),
                    (output,),
                    {**facets, "lakehouse_loads": loads},
                ),
            ),
        )

    def publications(self, step: StepRun, made: Sequence[Publication]) -> PublicationsRunFacet:
        """What a run published, as a facet."""
        return PublicationsRunFacet(
            [msgspec.to_builtins(item) for item in made], step.code, step.contract.version
        )

    def run_id(self, step: StepRun) -> str:
        """The id of a step's run."""
        return self._id(step.step, step.contract.dataset, step.run_id, step.began.isoformat())

    def _event(
        self, state: RunState, step: StepRun, at: datetime, done: Done | None = None
    ) -> RunEvent:
        told = done or Done()
        job = self._id("job", step.step, step.run_id)
        parent = self._parent(job, self._aws.job(step.step))
        facets = {"parent": parent, **told.facets}
        name = f"{step.step}.{step.contract.dataset}"
        return self._of(
            state, self.run_id(step), name, at, msgspec.structs.replace(told, facets=facets)
        )

    def _of(self, state: RunState, run: str, name: str, at: datetime, done: Done) -> RunEvent:
        kind = "STREAMING" if name.startswith("ingest.") else "BATCH"
        job = job_type_job.JobTypeJobFacet(
            processingType=kind, integration="LAKEHOUSE", jobType="JOB"
        )
        event = RunEvent(
            eventTime=at.isoformat(),
            producer=PRODUCER,
            eventType=state,
            run=Run(run, dict(done.facets)),
            job=Job(self._aws.prefix, name, {"jobType": job}),
            inputs=list(done.inputs),
            outputs=list(done.outputs),
        )
        return _signed(event)

    def _parent(self, run: str, name: str) -> parent_run.ParentRunFacet:
        return parent_run.ParentRunFacet(
            parent_run.Run(run), parent_run.Job(self._aws.prefix, name)
        )

    def _id(self, *what: str) -> str:
        return str(uuid.uuid5(_IDS, "\n".join((self._aws.prefix, *what))))


def _signed(event: RunEvent) -> RunEvent:
    """The event with every facet naming its producer; the client's default names itself."""
    holders: list[Any] = [event.run.facets, event.job.facets]
    for read in event.inputs or ():
        holders += [read.facets, read.inputFacets]
    for written in event.outputs or ():
        holders += [written.facets, written.outputFacets]
    for facets in holders:
        for facet in (facets or {}).values():
            if isinstance(facet, BaseFacet):
                facet._producer = PRODUCER
    return event
