"""Tells of a promotion once it is over, whatever came of it: metrics, and the dataset's pages."""

from __future__ import annotations

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from lakehouse.aws import Aws
from lakehouse.contracts.model import Contract
from lakehouse.errors import LakehouseError
from lakehouse.metrics import Metrics
from lakehouse.promotion.progress import read_state
from lakehouse.reporting.pages import publish_reports
from lakehouse.tables import load_table

log = structlog.get_logger(__name__)


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
