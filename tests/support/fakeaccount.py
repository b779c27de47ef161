"""An account that answers what a test wants; calls and answers are held against AWS's models."""

from __future__ import annotations

import functools
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.validate import ParamValidator

from lakehouse.doctor.account import DeniedError, RefusedError

Answer = dict[str, Any] | Exception


class FakeAccount:
    """Answers by ``<service>.<operation>``, or that and the value of its first parameter.

    What was not given is answered as ``EntityNotFoundException``.
    """

    def __init__(self, answers: dict[str, Answer], region: str = "eu-west-1") -> None:
        self.region = region
        self.answers = answers
        self.asked: list[str] = []

    def ask(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        model = operation_model(service, operation)
        if model.input_shape is not None:
            _require(model.input_shape, parameters, f"{service} {operation}")
        name = f"{service}.{operation}"
        self.asked.append(name)
        first = next((v for v in parameters.values() if isinstance(v, str)), "")
        absent = RefusedError(name, "EntityNotFoundException", "not found", 400)
        answer = self.answers.get(f"{name} {first}", self.answers.get(name, absent))
        if isinstance(answer, Exception):
            raise answer
        if model.output_shape is not None:
            _require(model.output_shape, answer, f"the answer to {service} {operation}")
        return answer


def denied(action: str) -> DeniedError:
    return DeniedError(action, "AccessDeniedException", "not authorized", 403)


def refused(action: str, code: str, status: int = 400) -> RefusedError:
    return RefusedError(action, code, code, status)


@functools.cache
def operation_model(service: str, operation: str) -> Any:
    model = botocore.session.get_session().get_service_model(service)
    return next(
        model.operation_model(name)
        for name in model.operation_names
        if xform_name(name) == operation
    )


def _require(shape: Any, value: dict[str, Any], where: str) -> None:
    report = ParamValidator().validate(value, shape)
    assert not report.has_errors(), f"{where}: {report.generate_report()}"
    assert set(value) <= set(shape.members), f"{where}: {sorted(set(value) - set(shape.members))}"
