"""How each type of resource is made on the emulator, and which types it lacks.

A handler is idempotent: what it finds under the resource's name it brings up to date or leaves.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lakehouse.errors import EstateError

Made = tuple[str, Mapping[str, Any]]
"""A resource's id, and the outputs that it has beside its inputs."""


@dataclass
class Endpoint:
    """The emulator's API: one client a service, shared by all handlers."""

    url: str
    region: str
    credentials: Mapping[str, str]
    _clients: dict[str, Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Endpoint:
        """The emulator at AWS_ENDPOINT_URL; EstateError without one, so that AWS is never meant."""
        url = env.get("AWS_ENDPOINT_URL")
        if not url:
            raise EstateError(
                "no AWS_ENDPOINT_URL in the environment; start the estate with "
                "'lakehouse local up', or give the emulator's address"
            )
        return cls(
            url=url,
            region=env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "us-east-1",
            credentials={
                "aws_access_key_id": env.get("AWS_ACCESS_KEY_ID", "test"),
                "aws_secret_access_key": env.get("AWS_SECRET_ACCESS_KEY", "test"),
            },
        )

    @property
    def account(self) -> str:
        """Id of the account that the emulator plays; EstateError when it does not answer."""
        try:
            return str(self.client("sts").get_caller_identity()["Account"])
        except BotoCoreError as error:
            raise EstateError(f"no emulator answers: {error}; start it first") from error

    def client(self, service: str) -> Any:
        """The client of a service."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = boto3.client(  # type: ignore[call-overload]  # the service is known at run time only
                    service,
                    endpoint_url=self.url,
                    region_name=self.region,
                    config=Config(
                        retries={"mode": "standard", "max_attempts": 3},
                        s3={"addressing_style": "path"},
                    ),
                    **self.credentials,
                )
            return self._clients[service]


Handler = Callable[[Endpoint, Mapping[str, Any]], Made]
HANDLERS: Final[dict[str, Handler]] = {}
LACKING: Final[dict[str, str]] = dict.fromkeys(
    (
        "aws:lakeformation/lfTag:LfTag",
        "aws:lakeformation/optIn:OptIn",
        "aws:lakeformation/permissions:Permissions",
        "aws:lakeformation/resource:Resource",
        "aws:lakeformation/resourceLfTags:ResourceLfTags",
    ),
    "no Lake Formation: tags, grants and opt-ins are held against a model of it in the tests",
)
"""Types that the emulator does not have, each with what is therefore not shown on one machine."""


def handles(kind: str) -> Callable[[Handler], Handler]:
    """Register the handler of a type such as ``aws:s3/bucket:Bucket``."""

    def register(handler: Handler) -> Handler:
        HANDLERS[kind] = handler
        return handler

    return register


def create(endpoint: Endpoint, kind: str, name: str, inputs: Mapping[str, Any]) -> Made:
    """Make a resource; EstateError for a type without handler and for a refused call."""
    # The handlers register themselves when their module is first imported.
    from localaws import handlers_compute, handlers_signals, handlers_storage  # noqa: F401

    if kind in LACKING:
        return reference(kind, name, inputs)
    handler = HANDLERS.get(kind)
    if handler is None:
        raise EstateError(
            f"{kind} {name!r} has no handler; write one in localaws/handlers_*.py, "
            "or add the type to LACKING with the reason"
        )
    try:
        return handler(endpoint, inputs)
    except (ClientError, BotoCoreError) as error:
        raise EstateError(f"{kind} {name!r}: the emulator refused it: {error}") from error


def reference(kind: str, name: str, inputs: Mapping[str, Any]) -> Made:
    """What a resource that nobody makes answers: an id and an ARN with its name in them."""
    service, _, type_ = kind.split(":")[1].partition("/")
    called = str(inputs.get("name") or inputs.get("bucket") or name)
    outputs = {"arn": _arn(service, type_, called), "keyId": called}
    if kind == "aws:sqs/queue:Queue":
        outputs["url"] = f"https://sqs.eu-west-1.amazonaws.com/123456789012/{called}"
    if kind == "aws:mwaa/environment:Environment":
        outputs["webserverUrl"] = f"{called}.airflow.amazonaws.com"
    if kind == "aws:s3/bucketObjectv2:BucketObjectv2":
        outputs["versionId"] = "version"
    answered = {key: value for key, value in outputs.items() if key not in inputs}
    return _IDS[type_].format(name) if type_ in _IDS else called, answered


_IDS: Final = {
    "eip": "eipalloc-{}",
    "internetGateway": "igw-{}",
    "natGateway": "nat-{}",
    "routeTable": "rtb-{}",
    "securityGroup": "sg-{}",
    "subnet": "subnet-{}",
    "vpc": "vpc-{}",
}
"""Types whose ids AWS makes up, and how these begin; others are known by their name."""
_ARNS: Final = {
    "bucket": "arn:aws:s3:::{}",
    "eventRule": "arn:aws:events:eu-west-1:123456789012:rule/{}",
    "key": "arn:aws:kms:eu-west-1:123456789012:key/{}",
    "logGroup": "arn:aws:logs:eu-west-1:123456789012:log-group:{}",
    "registry": "arn:aws:glue:eu-west-1:123456789012:registry/{}",
    "role": "arn:aws:iam::123456789012:role/{}",
}


def _arn(service: str, type_: str, called: str) -> str:
    """ARN as AWS writes it, where another service's call would refuse any other."""
    plain = f"arn:aws:{service}:eu-west-1:123456789012:{{}}"
    return _ARNS.get(type_, plain).format(called)


def found(call: Callable[[], Any], *missing: str) -> Any | None:
    """The answer of a call, None where the emulator says with one of these codes: there is none."""
    try:
        return call()
    except ClientError as error:
        if error.response["Error"]["Code"] in missing:
            return None
        raise
