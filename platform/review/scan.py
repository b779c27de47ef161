"""Run by checkov's own Python, whose packages and the project's exclude each other.

``python scan.py <folder of checks> <folder>...`` prints, for each folder of Terraform JSON, the
resources that were read, and every result: the check, what it asks for, the resource, and whether
it passed. A secret is a failure of the resource in which it stands. Nothing asks the network.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

from checkov.common.output.record import Record
from checkov.runner_filter import RunnerFilter
from checkov.secrets.runner import Runner as SecretsRunner
from checkov.terraform_json import runner as terraform_json

Spans = dict[str, tuple[int, int]]
"""By resource: the first and last line that it fills."""
Result = tuple[str, str, str, bool]


def scanned(folder: str, checks: str) -> dict[str, list[Any]]:
    """The resources in a folder, and the results of all checks of them."""
    runner = terraform_json.TerraformJsonRunner()
    report: Any = runner.run(
        root_folder=folder, external_checks_dir=[checks], runner_filter=_filter("terraform_json")
    )
    secrets: Any = SecretsRunner().run(root_folder=folder, runner_filter=_filter("secrets"))
    spans = dict(_spans(runner.definitions))
    failed = [*report.failed_checks, *secrets.failed_checks]
    return {
        "resources": list(spans),
        "results": [
            *(_result(record, spans, passed=True) for record in report.passed_checks),
            *(_result(record, spans, passed=False) for record in failed),
        ],
    }


def _definitions(paths: Any) -> tuple[Any, Any, list[str]]:
    definitions, lines, errors = _create_definitions(paths)
    return _read(definitions), lines, errors


def _read(value: Any) -> Any:
    """The value with the documents in its texts read, which checkov does for HCL alone."""
    if isinstance(value, dict):
        return type(value)({key: _read(item) for key, item in value.items()})
    if isinstance(value, list):
        return [_read(item) for item in value]
    if isinstance(value, str) and value.startswith("{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


# Without it no statement of a policy would be looked at.
_create_definitions = terraform_json.create_definitions
terraform_json.create_definitions = _definitions


def _filter(framework: str) -> RunnerFilter:
    return RunnerFilter(framework=[framework], show_progress_bar=False)


def _spans(definitions: dict[str, dict[str, Any]]) -> Iterator[tuple[str, tuple[int, int]]]:
    for definition in definitions.values():
        for block in definition["resource"]:
            for kind, named in block.items():
                for name, inputs in named.items():
                    yield f"{kind}.{name}", (inputs["__startline__"], inputs["__endline__"])


def _result(record: Record, spans: Spans, *, passed: bool) -> Result:
    line = record.code_block[0][0]
    (resource,) = (name for name, (first, last) in spans.items() if first <= line <= last)
    return record.check_id, record.check_name, resource, passed


def main() -> None:
    """Print what is found in every folder as JSON."""
    logging.disable(logging.WARNING)
    checks, *folders = sys.argv[1:]
    sys.stdout.write(json.dumps({folder: scanned(folder, checks) for folder in folders}))


if __name__ == "__main__":
    main()
