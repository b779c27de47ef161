"""Every error the platform raises on purpose: one root, a class per condition.

A message says what was received, what was expected and what to do. Commands print it as one line
and end with exit code 1; anything else that escapes is a bug and keeps its traceback.
"""

from __future__ import annotations


class LakehouseError(Exception):
    """Root of all errors raised on purpose."""


class TransientError(LakehouseError):
    """The same call may succeed later: it is retried, then reported."""


class ContractError(LakehouseError):
    """A contract file is missing, unreadable or breaks the standard."""


class UnknownDatasetError(LakehouseError):
    """No contract declares the dataset that was asked for."""


class InputError(LakehouseError):
    """A file or record handed to a command is not what it says it is."""


class EstateError(LakehouseError):
    """Something the estate should provide is not there or not reachable."""


class AlreadyRunningError(EstateError):
    """A Glue job has a run under way, and takes one at a time."""


class LedgerError(LakehouseError):
    """The ledger and the table, stream or landing zone contradict each other."""


class DataLossError(LedgerError):
    """Input that the ledger still needs is gone from its source."""


class PublishConflictError(TransientError):
    """The table moved between reading and committing; read it again and start over."""


class GateError(LakehouseError):
    """The gate could not be evaluated, so its candidate is not published."""


class RunningElsewhereError(LakehouseError):
    """Another run works on the same table now."""
