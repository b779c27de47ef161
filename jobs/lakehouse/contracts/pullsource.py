"""Checks what a contract says of a pull, before anything is pulled by it."""

from __future__ import annotations

import re
import string
from datetime import date
from typing import Final

from lakehouse.contracts.model import FileFormat, PageNumber, PullSource, SourceKind
from lakehouse.errors import ContractError

PULL_NAMES: Final = ("period", "start", "end")
"""What a pull's path and parameters may name."""


def pull_source(
    given: PullSource | None, source: SourceKind, form: FileFormat, path: str
) -> PullSource | None:
    """Where a pulled dataset comes from; None for one that comes another way."""
    if source != "pull":
        if given is not None:
            raise ContractError(f"{path}: 'pull' is given for source {source!r}; remove it")
        return None
    if given is None:
        raise ContractError(
            f"{path}: source 'pull' does not say where it pulls from; add the property 'pull' with "
            "connection and path"
        )
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", given.connection):
        raise ContractError(
            f"{path}: pull.connection {given.connection!r}; expected the id of an Airflow "
            "connection, such as weather_api"
        )
    if not re.fullmatch(r"/[^?#\s]*", given.path):
        raise ContractError(
            f"{path}: pull.path {given.path!r}; expected an absolute path such as "
            "/v1/observations, what follows a '?' as 'parameters'"
        )
    for where, text in {"path": given.path, **given.parameters}.items():
        _check_template(text, f"{path}: pull.{where}")
    own = {
        name
        for part in (given.pagination, given.cursor)
        if (name := getattr(part, "parameter", None)) is not None
    }
    if twice := sorted(own & set(given.parameters)):
        raise ContractError(
            f"{path}: pull.parameters.{twice[0]} is set by the pagination or the cursor; remove it"
        )
    _check_cursor(given, path)
    _check_pages(given, form, path)
    return given


def _check_template(text: str, where: str) -> None:
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ContractError(f"{where}: {text!r}: {error}; write '{{{{' for a brace") from error
    for _, name, spec, conversion in parts:
        if name is None:
            continue
        if name not in PULL_NAMES or conversion or "{" in (spec or ""):
            raise ContractError(
                f"{where}: {{{name}}} in {text!r}; expected "
                f"{', '.join(f'{{{known}}}' for known in PULL_NAMES)}, a day with a format such as "
                "{start:%Y%m%d}"
            )
    try:
        text.format(period="2013-01", start=date(2013, 1, 1), end=date(2013, 2, 1))
    except ValueError as error:
        raise ContractError(
            f"{where}: {text!r}: {error}; only {{start}} and {{end}} take a format, such as "
            "{start:%Y%m%d}"
        ) from error


def _check_cursor(given: PullSource, path: str) -> None:
    cursor = given.cursor
    if cursor is not None and (cursor.field is None) == (cursor.key is None):
        raise ContractError(
            f"{path}: pull.cursor needs either 'field', of the records, or 'key', of the answer, "
            "to tell where the next pull goes on"
        )
    if cursor is not None and cursor.parameter == getattr(given.pagination, "parameter", None):
        raise ContractError(
            f"{path}: pull.cursor and pull.pagination both send {cursor.parameter!r}; an API that "
            "takes both needs two names"
        )


def _check_pages(given: PullSource, form: FileFormat, path: str) -> None:
    """Pages can be read as far as their pagination and cursor need it."""
    pagination, cursor = given.pagination, given.cursor
    keys = [getattr(pagination, "key", None), getattr(pagination, "pages", None)]
    keys.append(cursor.key if cursor else None)
    if any(key is not None for key in keys) and form.type != "json":
        raise ContractError(
            f"{path}: pull looks for {next(key for key in keys if key)!r} in the answer, which "
            f"needs format json, not {form.type!r}"
        )
    by_record = isinstance(pagination, PageNumber) and pagination.pages is None
    if (by_record or (cursor and cursor.field)) and form.type not in {"json", "ndjson"}:
        raise ContractError(
            f"{path}: pull has to look at the records of a page, which needs format json or "
            f"ndjson, not {form.type!r}"
        )
    if form.manifest is not None and not re.fullmatch(r"[A-Za-z0-9_.-]+", form.manifest):
        raise ContractError(
            f"{path}: format.manifest {form.manifest!r} of a pull, which writes it beside the "
            "pages; expected one name, such as _manifest.json"
        )
