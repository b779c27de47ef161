"""Tells of a promotion once it is over, whatever came of it: metrics, and the dataset's pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.errors import GateError, LakehouseError
from lakehouse.metrics import Metrics
from lakehouse.promotion.progress import read_state
from lakehouse.reporting.pages import publish_reports
from lakehouse.tables import load_table

log = structlog.get_logger(__name__)


@contextmanager
def telling_holds(contract: Contract, metrics: Metrics) -> Iterator[None]:
    """While this lasts, a hold that is found again is told again: silence would end its alarm."""
    try:
        yield
    except GateError:
        metrics.promotion(contract.dataset, published=False, held=True)
        raise


def tell(aws: Aws, contract: Contract, metrics: Metrics, *, published: bool) -> None:
    """Send the metrics of a dataset or mart and bring its pages up to date.

    Nothing that goes wrong here fails the promotion, which is over.
    """
    try:
        table = load_table(aws, contract.checked_layer, contract.dataset)
        held = table is not None and read_state(table).held is not None
        metrics.promotion(contract.dataset, published=published, held=held)
        publish_reports(aws, contract)
    except (LakehouseError, ClientError, BotoCoreError) as error:
        log.warning("not_told", dataset=contract.dataset, why=str(error))
