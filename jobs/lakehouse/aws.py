"""The account a deployment lives in: clients and the catalog, by the deployment's prefix.

Endpoints come from the standard environment alone (``AWS_ENDPOINT_URL`` and its per-service forms),
so that the same code reaches AWS and the estate on one machine.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

import msgspec

from lakehouse import naming

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog


class Aws(msgspec.Struct, frozen=True):
    """A deployment: small enough to be sent to every Spark task, which makes its own clients."""

    prefix: str
    region: str
    lake_formation: bool = False
    """Whether Lake Formation's tags decide what people see, so that who makes a column tags it."""

    @classmethod
    def from_env(cls, prefix: str, *, lake_formation: bool = False) -> Aws:
        """The deployment in the environment's region (``AWS_REGION``, then ``us-east-1``)."""
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        return cls(prefix, region or "us-east-1", lake_formation)

    def client(self, service: str, role: str | None = None) -> Any:
        """The process's one boto3 client of a service, under a role where one is named."""
        return _client(service, self.region, role)

    def catalog(self) -> Catalog:
        """The process's one PyIceberg catalog over Glue."""
        return _catalog(self.region)

    def bucket(self, purpose: naming.BucketPurpose) -> str:
        """Name of the bucket for a purpose."""
        return naming.bucket(self.prefix, purpose)

    def stream(self, dataset: str) -> str:
        """Name of a dataset's stream."""
        return naming.stream(self.prefix, dataset)

    def job(self, name: str) -> str:
        """Name of a Glue job."""
        return naming.job(self.prefix, name)


def endpoint(service: str) -> str | None:
    """The endpoint that the environment gives for a service; None: AWS's own."""
    return os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}") or os.environ.get(
        "AWS_ENDPOINT_URL"
    )


# Building a client costs about 0.3 s, and a Spark worker serves many tasks.
@functools.cache
def _client(service: str, region: str, role: str | None = None) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(
        retries={"mode": "adaptive", "max_attempts": 8},
        connect_timeout=5,
        read_timeout=60,
        max_pool_connections=32,
        s3={"addressing_style": "path"} if endpoint("s3") else {},
    )
    session = boto3.Session() if role is None else _assumed(role, region)
    return session.client(service, region_name=region, config=config)  # type: ignore[call-overload]  # the service is known at run time only


def _assumed(role: str, region: str) -> Any:
    """A session under a role; its credentials are renewed before they end."""
    import boto3
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
    from botocore.session import get_session

    session = get_session()
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=session.create_client,
        source_credentials=session.get_credentials(),
        role_arn=role,
        extra_args={"RoleSessionName": "lakehouse"},
    )
    renewed = DeferredRefreshableCredentials(
        method="assume-role", refresh_using=fetcher.fetch_credentials
    )
    setattr(session, "_credentials", renewed)  # noqa: B010 - botocore has no public way in
    return boto3.Session(botocore_session=session, region_name=region)


@functools.cache
def _catalog(region: str) -> Catalog:
    from pyiceberg.catalog import load_catalog

    properties = {
        "type": "glue",
        "glue.region": region,
        "s3.region": region,
        "glue.endpoint": endpoint("glue"),
        "s3.endpoint": endpoint("s3"),
        "glue.access-key-id": os.environ.get("AWS_ACCESS_KEY_ID") if endpoint("glue") else None,
        "glue.secret-access-key": os.environ.get("AWS_SECRET_ACCESS_KEY")
        if endpoint("glue")
        else None,
        "glue.session-token": os.environ.get("AWS_SESSION_TOKEN") if endpoint("glue") else None,
    }
    return load_catalog(naming.CATALOG, **{k: v for k, v in properties.items() if v})
