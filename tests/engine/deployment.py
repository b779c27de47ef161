"""A stack of the program under Pulumi's real engine, driven by its command line as people do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from engine.language import policy_host
from engine.provider import Call, Held, StandIn

from localaws.apply import PROJECT, ROOT, Recorded

_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
"""The key by which the engine marks values that are more than JSON, such as secrets."""


@dataclass(frozen=True)
class Snapshot:
    """A stack at one moment: the engine's state, the account and the configuration."""

    state: str
    held: dict[str, Held]
    settings: str


class Deployment:
    """A stack in a folder, with an account of its own that ``provider`` plays.

    ``provider_port`` and ``program_port`` are where the engine finds the provider and the program.
    """

    def __init__(
        self, stack: str, home: Path, provider: StandIn, *, provider_port: int, program_port: int
    ) -> None:
        self.name, self.home, self.provider = stack, home, provider
        self.state = home / "state" / ".pulumi" / "stacks" / PROJECT / f"{stack}.json"
        self._settings = home / f"Pulumi.{stack}.yaml"
        self.program_port = program_port
        self._env = os.environ | {
            "PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PULUMI_BACKEND_URL": f"file://{home / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "of the test",
            "PULUMI_DEBUG_PROVIDERS": f"aws:{provider_port}",
            "PULUMI_HOME": str(home / "pulumi"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        (home / "state").mkdir(parents=True)
        (home / "bin").mkdir()
        policy_host(home / "bin")
        project = {"name": PROJECT, "runtime": "python"}
        (home / "Pulumi.yaml").write_text(yaml.safe_dump(project), encoding="utf-8")
        shutil.copy(ROOT / self._settings.name, home)
        self.pulumi("stack", "init", check=True)

    def decide(self, **changes: Any) -> None:
        """Put other values over the top level of the stack's ``platform`` configuration."""
        config = yaml.safe_load(self._settings.read_text(encoding="utf-8"))["config"]
        self.configure("lakehouse:platform", config["lakehouse:platform"] | changes)

    def configure(self, key: str, value: Any) -> None:
        """Give a key of the stack's configuration another value."""
        settings = yaml.safe_load(self._settings.read_text(encoding="utf-8"))
        settings["config"][key] = value
        self._settings.write_text(yaml.safe_dump(settings), encoding="utf-8")

    def up(self) -> list[Call]:
        """What ``pulumi up`` changes in the account, in order; it has to succeed."""
        self.provider.calls.clear()
        self.pulumi("up", "--yes", "--skip-preview", check=True)
        return list(self.provider.calls)

    def pulumi(
        self, *arguments: str, given: str | None = None, check: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """The command line with these arguments; with ``check`` it has to succeed."""
        runs_program = arguments[0] in {"up", "preview"}
        done = subprocess.run(
            [
                "pulumi", *arguments, "--stack", self.name, "--non-interactive",
                *([f"--client=127.0.0.1:{self.program_port}"] if runs_program else []),
            ],
            cwd=self.home, env=self._env, input=given, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def snapshot(self) -> Snapshot:
        """What :meth:`restore` brings back."""
        return Snapshot(
            self.pulumi("stack", "export", check=True).stdout,
            dict(self.provider.held),
            self._settings.read_text(encoding="utf-8"),
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Undo what was done to the stack since."""
        self.pulumi("stack", "import", given=snapshot.state, check=True)
        self.provider.held = dict(snapshot.held)
        self.provider.calls.clear()
        self._settings.write_text(snapshot.settings, encoding="utf-8")

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs; those that are secrets are not shown."""
        found: dict[str, Any] = json.loads(self.pulumi("stack", "output", "--json").stdout)
        return found

    def recorded(self) -> list[Recorded]:
        """The resources in the engine's state, as a rendering records them."""
        return [
            Recorded(
                type=resource["type"],
                name=resource["urn"].rpartition("::")[2],
                inputs=_open(resource["inputs"]),
                parent=resource["parent"].rpartition("::")[2],
                protect=resource.get("protect", False),
                retain=resource.get("retainOnDelete", False),
            )
            for resource in self.resources()
            if resource["custom"]
        ]

    def resources(self) -> list[dict[str, Any]]:
        """The program's resources in the engine's state, components and the stack too."""
        text = self.pulumi("stack", "export", "--show-secrets", check=True).stdout
        return [
            resource
            for resource in json.loads(text)["deployment"].get("resources", [])
            if not resource["type"].startswith("pulumi:providers:")
        ]


def _open(value: Any) -> Any:
    """The value with every secret in plain."""
    if isinstance(value, dict):
        if _SIGNATURE in value:
            return json.loads(value["plaintext"])
        return {key: _open(item) for key, item in value.items()}
    return [_open(item) for item in value] if isinstance(value, list) else value
