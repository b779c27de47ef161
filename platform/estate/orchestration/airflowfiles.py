"""What Airflow is given: DAGs, the contracts they are made from, requirements, options."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from estate.compute.release import ROOT
from lakehouse.contracts.model import Contracts

SECRETS: Final = "airflow"
"""After the deployment's prefix, how names of secrets begin that hold connections."""


def options(prefix: str) -> dict[str, str]:
    """Airflow's configuration: connections come from Secrets Manager, nothing is an example."""
    patterns = {
        "connections_prefix": f"{prefix}/{SECRETS}/connections",
        "variables_prefix": f"{prefix}/{SECRETS}/variables",
    }
    return {
        "core.load_examples": "False",
        "secrets.backend": (
            "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend"
        ),
        "secrets.backend_kwargs": json.dumps(patterns),
    }


def content(contracts: Contracts) -> Mapping[str, bytes]:
    """What the environment reads, by key below its folder: DAGs, contracts, requirements."""
    dags = ROOT / "orchestration" / "dags"
    files = {
        f"dags/{path.relative_to(dags).as_posix()}": path.read_bytes()
        for path in sorted(dags.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    return {
        **files,
        **{
            f"dags/contracts/{contract.dataset}.yaml": Path(contract.path).read_bytes()
            for contract in contracts.values()
        },
        "requirements.txt": (ROOT / "orchestration" / "requirements.txt").read_bytes(),
    }


def startup(prefix: str, topic: str) -> str:
    """The script that tells the DAGs their deployment and where alerts go, in base64."""
    lines = [
        "#!/bin/sh",
        f"export LAKEHOUSE_PREFIX={prefix}",
        f"export LAKEHOUSE_ALERT_TOPIC={topic}",
    ]
    return base64.b64encode("".join(f"{line}\n" for line in lines).encode()).decode()
