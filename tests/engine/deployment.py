"""A stack of the program under Pulumi's real engine, with its state in a folder."""

from __future__ import annotations

import runpy
import shutil
import warnings
from pathlib import Path
from typing import Any, Final

import pulumi_aws
import yaml
from engine.provider import Call, StandIn
from pulumi import automation as auto

from localaws.apply import PROGRAM, PROJECT, ROOT, Recorded

PASSPHRASE: Final = "of the test"


def program() -> None:
    """The very program of ``pulumi up``."""
    runpy.run_path(str(PROGRAM), run_name="__main__")


class Deployment:
    """A stack with an account of its own, which the stand-in provider at a port plays."""

    def __init__(self, stack: str, home: Path, provider: StandIn, port: int) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home, self.provider = home, provider
        self._settings = home / f"Pulumi.{stack}.yaml"
        shutil.copy(ROOT / self._settings.name, home)
        with warnings.catch_warnings():
            # These modules warn of their own deprecated classes when first looked into.
            warnings.simplefilter("ignore", DeprecationWarning)
            _ = pulumi_aws.s3.Bucket, pulumi_aws.ec2.Vpc
        (home / "state").mkdir()
        self.stack = auto.create_stack(
            stack,
            project_name=PROJECT,
            program=program,
            opts=auto.LocalWorkspaceOptions(
                work_dir=str(home),
                pulumi_home=str(home / "pulumi"),
                project_settings=auto.ProjectSettings(
                    name=PROJECT,
                    runtime="python",
                    backend=auto.ProjectBackend(url=f"file://{home / 'state'}"),
                ),
                env_vars={
                    "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
                    "PULUMI_DEBUG_PROVIDERS": f"aws:{port}",
                    "PULUMI_SKIP_UPDATE_CHECK": "true",
                },
            ),
        )

    def decide(self, **changes: Any) -> None:
        """Put other values over the top level of the stack's ``platform`` configuration."""
        settings = yaml.safe_load(self._settings.read_text(encoding="utf-8"))
        settings["config"]["lakehouse:platform"] |= changes
        self._settings.write_text(yaml.safe_dump(settings), encoding="utf-8")

    def up(self) -> list[Call]:
        """``pulumi up``; what was changed in the account, in order."""
        before = len(self.provider.calls)
        self.stack.up()
        return self.provider.calls[before:]

    def recorded(self) -> list[Recorded]:
        """The resources in the engine's state, as the rendering records them."""
        return [
            Recorded(
                type=resource["type"],
                name=resource["urn"].rpartition("::")[2],
                inputs=resource["inputs"],
                parent=resource["parent"].rpartition("::")[2],
                protect=resource.get("protect", False),
                retain=resource.get("retainOnDelete", False),
            )
            for resource in self.stack.export_stack().deployment["resources"]
            if resource["custom"] and not resource["type"].startswith("pulumi:")
        ]
