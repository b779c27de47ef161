"""One role for every job and one for Airflow, each with the policy of its name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from estate.access import airflowpolicies, lakegrants, policies, servicepolicies
from estate.access.grants import Statement
from estate.access.role import Rules, measured_role
from estate.account import Account
from estate.storage.keys import Keys
from lakehouse.contracts.model import Contract

if TYPE_CHECKING:
    from estate.config import StackConfig


class Access(pulumi.ComponentResource):
    """The roles, named like their jobs, and ``<prefix>-airflow``."""

    def __init__(
        self,
        config: StackConfig,
        account: pulumi.Output[Account],
        keys: Keys,
        streams: Iterable[Contract],
    ) -> None:
        super().__init__("lakehouse:estate:Access", "access")
        self._config, self._account, self._keys = config, account, keys
        needs = config.jobs.python_requirements is not None
        streamed = tuple(streams)
        self.groups = stream_groups(streamed)
        rules: dict[str, Rules] = {
            f"ingest-{group}": _ingest(f"ingest-{group}", members, environment=needs)
            for group, members in self.groups.items()
        } | {
            "land": lambda a, k: policies.land(a, k, "land", environment=needs),
            "promote": lambda a, k: policies.promote(a, k, "promote", environment=needs),
            "marts": lambda a, k: policies.marts(a, k, "marts", environment=needs),
            "operate": lambda a, k: policies.operate(a, k, "operate", streamed, environment=needs),
            "maintain": lambda a, k: policies.maintain(a, k, "maintain", environment=needs),
        }
        self.jobs = {
            job: self._role(job, ["glue"], _also(rule, self._additions(job)))
            for job, rule in rules.items()
        }
        self.airflow = self._role(
            "airflow",
            ["airflow", "airflow-env"],
            lambda a, k: [
                *airflowpolicies.airflow(a, k, list(rules)),
                *(airflowpolicies.mwaa(a, k) if config.airflow else []),
            ],
        )
        self.register_outputs({})

    def _additions(self, job: str) -> list[Callable[[Account], list[Statement]]]:
        """What a stack's choices ask of a job besides its work."""
        found: list[Callable[[Account], list[Statement]]] = []
        if self._config.network:
            found.append(servicepolicies.in_network)
        if self._config.lake_formation and lakegrants.tags_columns(job):
            found.append(lambda account: lakegrants.tagging(account, job))
        return found

    def _role(self, name: str, services: list[str], rules: Rules) -> aws.iam.Role:
        return measured_role(
            name,
            self._config.prefix,
            rules,
            trust=self._account.apply(
                lambda known: json.dumps(servicepolicies.trust(known, *services))
            ),
            account=self._account,
            keys=self._keys,
            parent=self,
            shorten="the contracts' group",
        )


def stream_groups(streams: Iterable[Contract]) -> dict[str, tuple[Contract, ...]]:
    """The contracts of each group of streams; a group has one ingest job."""
    ordered = sorted(streams, key=lambda c: (c.group, c.dataset))
    return {group: tuple(members) for group, members in groupby(ordered, key=lambda c: c.group)}


def _ingest(job: str, group: tuple[Contract, ...], *, environment: bool) -> Rules:
    return lambda a, k: policies.ingest(a, k, job, group, environment=environment)


def _also(rules: Rules, additions: list[Callable[[Account], list[Statement]]]) -> Rules:
    return lambda a, k: [*rules(a, k), *(s for addition in additions for s in addition(a))]
