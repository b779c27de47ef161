"""The house rules by subject; importing this package registers them all.

Most are traps that AWS does not tell of: what is wrong there shows in a lost event, a hanging run
or a bill, and no emulator shows it.
"""

from policies.rule import RULES, findings
from policies.rules import (
    access,
    airflow,
    costs,
    governed,
    jobs,
    keys,
    logs,
    network,
    queries,
    signals,
    starts,
    storage,
    tables,
)

__all__ = [
    "RULES",
    "access",
    "airflow",
    "costs",
    "findings",
    "governed",
    "jobs",
    "keys",
    "logs",
    "network",
    "queries",
    "signals",
    "starts",
    "storage",
    "tables",
]
