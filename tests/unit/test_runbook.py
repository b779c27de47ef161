"""The runbook's commands, keys and links are real."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import boto3
import typer
from botocore import xform_name

from estate.config import StackConfig
from estate.settings import Settings
from lakehouse.cli.app import app

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
CODE = re.findall(r"`([^`\n]+)`", TEXT) + re.findall(r"^ {4}(\S.*)$", TEXT, re.MULTILINE)


def commands(program: str) -> list[list[str]]:
    """The words of every command of a program, in code, one that follows ``&&`` too."""
    lines = [part.strip() for code in CODE for part in code.split("&&")]
    return [line.split()[1:] for line in lines if line.split()[0] == program]


def test_every_command_of_lakehouse_exists_with_its_options() -> None:
    group: Any = typer.main.get_command(app)
    found = commands("lakehouse")
    assert len(found) >= 10
    for line in found:
        command, words = group, line
        while getattr(command, "commands", None) and words:
            assert words[0] in command.commands, f"lakehouse {' '.join(words)}"
            command, words = command.commands[words[0]], words[1:]
        known = {name for option in command.params for name in option.opts}
        asked = {word for word in words if word.startswith("--")}
        assert asked <= known, f"{command.name}: {asked - known}"


def test_every_session_of_nox_exists() -> None:
    sessions = set(
        re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(), re.MULTILINE)
    )
    asked = {words[1] for words in commands("nox")}
    assert asked
    assert asked <= sessions


def test_every_call_of_awss_command_line_exists_with_its_options() -> None:
    found = [words for words in commands("aws") if words[0] != "s3"]
    assert found
    for service, call, *words in found:
        client: Any = boto3.client(
            "s3" if service == "s3api" else service,  # type: ignore[call-overload]  # known at run time only
            region_name="eu-west-1",
            aws_access_key_id="x",
            aws_secret_access_key="x",
        )
        operations = client.meta.service_model.operation_names
        by_name = {xform_name(name, "-"): name for name in operations}
        assert call in by_name, f"aws {service} {call}"
        shape = client.meta.service_model.operation_model(by_name[call]).input_shape
        known = {f"--{xform_name(member, '-')}" for member in shape.members}
        # The command line pages by itself, and calls the number of results so.
        known |= {"--max-results", "--max-items"}
        assert {w for w in words if w.startswith("--")} <= known, f"aws {service} {call}"


def _keys(model: type[Settings]) -> set[str]:
    found = set()
    for name, field in model.model_fields.items():
        found.add(name)
        for part in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(part, type) and issubclass(part, Settings):
                found |= {f"{name}.{key}" for key in _keys(part)}
    return found


def test_every_key_of_a_stack_is_one() -> None:
    dotted = {code.partition(":")[0] for code in CODE if re.match(r"[a-z]+(\.[a-z_]+)+(:|$)", code)}
    keys = {key for key in dotted if not key.endswith((".json", ".yaml"))}
    assert keys
    assert keys <= _keys(StackConfig)


def test_every_link_leads_to_a_page_and_a_heading() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", TEXT)
    assert links
    for page, heading in links:
        path = ROOT / "docs" / page
        assert path.is_file(), page
        if heading:
            titles = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles}
