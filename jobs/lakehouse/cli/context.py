"""What the commands share: the global options, consoles, and which deployment they reach."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.console import Console

from lakehouse.errors import EstateError

if TYPE_CHECKING:
    from lakehouse.aws import Aws
    from lakehouse.contracts.model import Contracts

# What is printed are data and paths, in which ":x:" is no emoji.
out = Console(soft_wrap=True, emoji=False, highlight=False)
err = Console(stderr=True, soft_wrap=True, emoji=False, highlight=False)

PrefixOption = Annotated[
    str | None,
    typer.Option(envvar="LAKEHOUSE_PREFIX", help="Deployment to work on; default: the local one."),
]
ContractsOption = Annotated[
    Path | None,
    typer.Option(
        envvar="LAKEHOUSE_CONTRACTS",
        help="Directory of the contracts; default: quality/contracts.",
    ),
]
HomeOption = Annotated[
    Path | None,
    typer.Option(
        envvar="LAKEHOUSE_HOME", help="Folder of the local estate; default: .lakehouse/local."
    ),
]


class Context:
    """What the global options say, looked up once it is needed."""

    def __init__(self, prefix: str | None, contracts: Path | None, home: Path | None) -> None:
        self._prefix = prefix
        self.contracts_folder = contracts or Path("quality", "contracts")
        self.home = home or Path(".lakehouse", "local")
        self.local: Any = None
        """The local estate that ``aws`` reached; None when it reached another."""

    def aws(self) -> Aws:
        """The deployment: the one named, else the estate that runs on this machine.

        Raises EstateError when there is neither, or its endpoint does not answer.
        """
        from lakehouse.aws import Aws

        prefix = self._prefix
        endpoint = os.environ.get("AWS_ENDPOINT_URL")
        estate = self._find()
        if endpoint:
            _require_answer(endpoint)
            if estate is not None and endpoint == estate.emulator_url:
                self.local = estate
                prefix = prefix or estate.prefix
        elif estate is not None and prefix in {None, estate.prefix}:
            os.environ.update(estate.env)
            self.local = estate
            prefix = estate.prefix
        if prefix is None:
            raise EstateError(
                f"no estate: none runs in {self.home} and no --prefix names one on AWS; start one "
                "with 'lakehouse local up'"
            )
        return Aws.from_env(prefix)

    def contracts(self) -> Contracts:
        """The contracts."""
        from lakehouse.contracts.odcs import load_contracts

        return load_contracts(self.contracts_folder)

    def where(self) -> str:
        """Which estate ``aws`` reached."""
        if self.local:
            return f"local estate at {self.local.emulator_url}"
        return os.environ.get("AWS_ENDPOINT_URL") or "AWS"

    def log_of(self, run_id: str, group: str) -> str:
        """Where the log of a Glue run is."""
        if self.local:
            return str(self.local.home / "runs" / f"{run_id}.log")
        return f"CloudWatch {group}/error and {group}/output, streams {run_id}"

    def _find(self) -> Any:
        try:
            local = local_module()
        except EstateError:
            return None
        return local.find(self.home)


def local_module() -> ModuleType:
    """``localaws.local``; EstateError where the extra that it needs is not installed."""
    try:
        from localaws import local
    except ImportError as error:
        raise EstateError(
            f"the local estate is not installed ({error}); run 'pip install -e "
            '".[local,platform,spark]"\' in a checkout of the repository'
        ) from error
    return local


@contextmanager
def told() -> Iterator[None]:
    """What AWS or the network refuses becomes an EstateError of one line."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        yield
    except NoCredentialsError as error:
        raise EstateError(
            "no AWS credentials; log in, or start the local estate with 'lakehouse local up'"
        ) from error
    except ClientError as error:
        said = error.response.get("Error", {})
        raise EstateError(
            f"AWS refuses {error.operation_name}: {said.get('Code')}: {said.get('Message')}; check "
            "the prefix, the region and what your role may do"
        ) from error
    except (BotoCoreError, Boto3Error) as error:
        raise EstateError(
            f"{error}; check the prefix, the region and the network, or start the local estate "
            "with 'lakehouse local up'"
        ) from error


def _require_answer(endpoint: str) -> None:
    """Raise EstateError at once where nobody listens, rather than after many retries."""
    parts = urlsplit(endpoint)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=3):
            return
    except OSError as error:
        raise EstateError(
            f"nothing answers at {endpoint} ({error}); start the estate with 'lakehouse local up', "
            "or mend AWS_ENDPOINT_URL"
        ) from error
