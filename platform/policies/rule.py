"""What a rule is, and how all of them are asked about a stack.

A rule is a function that says in a line each what is wrong and how to mend it. Its docstring says
why it stands. A value that a preview does not know yet leaves a rule undecided about that resource,
never broken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from policies.graph import Graph, Resource
from policies.values import UndecidedError, Values

Judge = Callable[[Resource, Graph], Iterator[str]]

_STACK: Final = Resource(type="", name="", values=Values({}))
"""The subject of a rule over the stack as a whole."""


@dataclass(frozen=True)
class Rule:
    """A rule over every resource of some types, or over the stack as a whole."""

    name: str
    why: str
    judge: Judge
    kinds: tuple[str, ...]

    def __call__(self, graph: Graph) -> Verdict:
        """What it finds in a stack."""
        found: list[Finding] = []
        undecided: list[str] = []
        subjects = [r for kind in self.kinds for r in graph.of(kind)] if self.kinds else [_STACK]
        for subject in subjects:
            where = f"{subject}: " if self.kinds else ""
            try:
                for line in self.judge(subject, graph):
                    # What was found before an unknown value stays found.
                    found.append(Finding(self.name, f"{where}{line}", subject.urn))  # noqa: PERF401
            except KeyError as error:
                line = f"{error.args[0]} is not there; give it, or declare what it names"
                found.append(Finding(self.name, f"{where}{line}", subject.urn))
            except UndecidedError as error:
                undecided.append(f"{where}{error.path}")
        return Verdict(found, undecided)


@dataclass(frozen=True)
class Finding:
    """What a rule has found wrong with a resource, or with the stack where ``urn`` is empty."""

    rule: str
    message: str
    urn: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.message}"


@dataclass(frozen=True)
class Verdict:
    """What a rule found, and the values for want of which it could not judge."""

    findings: list[Finding]
    undecided: list[str]


RULES: Final[list[Rule]] = []
"""Every rule, once its module is imported: :mod:`policies.rules` imports them all."""


def each(*kinds: str) -> Callable[[Judge], Judge]:
    """Register a rule over every resource of these types."""

    def register(judge: Judge) -> Judge:
        RULES.append(Rule(judge.__name__, _why(judge), judge, kinds))
        return judge

    return register


def stack(judge: Callable[[Graph], Iterator[str]]) -> Callable[[Graph], Iterator[str]]:
    """Register a rule over the stack as a whole."""
    RULES.append(Rule(judge.__name__, _why(judge), lambda _subject, graph: judge(graph), ()))
    return judge


def _why(judge: Callable[..., object]) -> str:
    return (judge.__doc__ or "").partition("\n")[0]


def findings(graph: Graph) -> list[Finding]:
    """What every rule finds."""
    return [finding for rule in RULES for finding in rule(graph).findings]
