"""What the doctor asks of an account, one call at a time, and how none may be answered."""

from __future__ import annotations

from typing import Any, Final, Protocol

from lakehouse.aws import endpoint
from lakehouse.errors import LakehouseError

_DENIED: Final = frozenset(
    {
        "403",
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "UnauthorizedOperation",
        "Forbidden",
    }
)
_LACKING: Final = frozenset(
    {
        "501",
        "InvalidAction",
        "NotImplemented",
        "NotImplementedException",
        "UnknownOperationException",
    }
)


class RefusedError(LakehouseError):
    """The service answered a call with an error; ``code`` and ``status`` are its own."""

    def __init__(self, action: str, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{action}: {code}: {message}")
        self.action, self.code, self.status = action, code, status


class DeniedError(RefusedError):
    """The caller may not make the call; ``action`` is what IAM calls it."""


class LackingError(LakehouseError):
    """Whoever answers does not know the call; on AWS it does not happen."""


class UnreachableError(LakehouseError):
    """Nobody answers: the region lacks the service, or the network leads nowhere."""


class NoCredentialsError(LakehouseError):
    """There are no credentials that AWS takes."""


class Account(Protocol):
    """An account and region that can be asked."""

    region: str

    def ask(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a call of boto3's name; one of the errors of this module otherwise."""


class AwsAccount:
    """The account of the environment's credentials."""

    def __init__(self, region: str) -> None:
        self.region = region
        self._clients: dict[str, Any] = {}

    def ask(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a call, through boto3."""
        from botocore import exceptions as botocore

        client = self._client(service)
        action = f"{_PREFIXES.get(service, service)}:{client.meta.method_to_api_mapping[operation]}"
        try:
            answer: dict[str, Any] = getattr(client, operation)(**parameters)
        except botocore.ClientError as error:
            raise _told(action, error.response) from error
        except (
            botocore.NoCredentialsError,
            botocore.PartialCredentialsError,
            botocore.CredentialRetrievalError,
            botocore.TokenRetrievalError,
            botocore.UnauthorizedSSOTokenError,
        ) as error:
            raise NoCredentialsError(str(error)) from error
        except botocore.BotoCoreError as error:
            raise UnreachableError(f"{action} in {self.region}: {error}") from error
        return answer

    def _client(self, service: str) -> Any:
        """A client that gives up soon: a region without the service never answers."""
        if service not in self._clients:
            import boto3
            from botocore.config import Config

            self._clients[service] = boto3.client(  # type: ignore[call-overload]  # the service is known at run time only
                service,
                region_name=self.region,
                config=Config(
                    retries={"mode": "standard", "max_attempts": 2},
                    connect_timeout=5,
                    read_timeout=20,
                    s3={"addressing_style": "path"} if endpoint("s3") else {},
                ),
            )
        return self._clients[service]


_PREFIXES: Final = {"mwaa": "airflow", "service-quotas": "servicequotas"}
"""What IAM calls a service where boto3 calls it otherwise."""
_BAD_CREDENTIALS: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)


def _told(action: str, response: Any) -> LakehouseError:
    said = response.get("Error", {})
    code, message = str(said.get("Code", "")), str(said.get("Message", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400))
    # An emulator without the service answers nothing that could be read.
    if status == 501 or code in _LACKING or (code == "400" and not message):
        return LackingError(f"{action} is not answered here: {message or code}")
    if code in _BAD_CREDENTIALS:
        return NoCredentialsError(f"{code}: {message}")
    if code in _DENIED:
        return DeniedError(action, code, message, status)
    return RefusedError(action, code, message, status)
