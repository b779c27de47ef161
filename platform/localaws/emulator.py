"""The emulator of AWS (ministack) as a child process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.config import Config
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from lakehouse.errors import EstateError

ACCOUNT_KEYS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What a client of the emulator has in its environment, besides the endpoint."""

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "SYSTEMROOT", "VIRTUAL_ENV")


class Emulator:
    """A running ministack. With ``data`` its state outlives it, without it is gone with it."""

    def __init__(self, port: int, scratch: Path, data: Path | None = None) -> None:
        """Start it in a session of its own; ``scratch`` takes its log and its pid file."""
        self.url = f"http://127.0.0.1:{port}"
        scratch.mkdir(parents=True, exist_ok=True)
        self.log = scratch / "emulator.log"
        env = {name: os.environ[name] for name in _KEPT if name in os.environ}
        env |= {
            "GATEWAY_PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "TMPDIR": str(scratch),
            "LOG_LEVEL": "WARNING",
            # Two listeners that would take fixed ports on all interfaces.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            # Never reach for a Docker daemon, whether there is one or not.
            "DOCKER_HOST": "unix:///nonexistent.sock",
        }
        if data is not None:
            env |= {
                "PERSIST_STATE": "1",
                "STATE_DIR": str(data / "state"),
                "S3_PERSIST": "1",
                "S3_DATA_DIR": str(data / "s3"),
            }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # our own interpreter
                [sys.executable, "-m", "ministack"],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_ready(self, timeout: float = 60) -> None:
        """Return once it answers; raises EstateError when it ends or stays silent (seconds)."""
        attempts = Retrying(
            stop=stop_after_delay(timeout),
            wait=wait_fixed(0.05),
            retry=retry_if_exception_type(httpx.HTTPError),
        )
        try:
            attempts(self._ask)
        except RetryError as error:
            self.stop()
            raise EstateError(
                f"the emulator did not answer within {timeout:.0f} s; see {self.log}"
            ) from error

    def _ask(self) -> None:
        if self.process.poll() is not None:
            raise EstateError(
                f"the emulator ended with code {self.process.returncode} before it answered; "
                f"see {self.log}"
            )
        # A cold start under load was seen to take 20 s; each question is short all the same.
        httpx.get(f"{self.url}/_ministack/ready", timeout=2).raise_for_status()

    def stop(self, grace: float = 20) -> bool:
        """End it; True when it ended by itself and so has saved its state (seconds)."""
        self.process.terminate()
        try:
            self.process.wait(grace)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return False
        return self.process.returncode == 0


def client(service: str, url: str) -> Any:
    """A client of the emulator itself, whatever the environment says."""
    return boto3.client(  # type: ignore[call-overload]  # the service is known at run time only
        service,
        endpoint_url=url,
        region_name=ACCOUNT_KEYS["AWS_REGION"],
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106  # the emulator takes any
        config=Config(s3={"addressing_style": "path"}, max_pool_connections=32),
    )
