"""``orchestration/local.py`` with a person who answers each question: ``answered.py ANSWER ...``.

``dag.test()`` runs no trigger that waits for somebody, so the trigger is what is replaced.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LOCAL = Path(__file__).parents[2] / "orchestration" / "local.py"


def main() -> None:
    _, answer, *sys.argv[1:] = sys.argv
    namespace = runpy.run_path(str(LOCAL))
    start = namespace["configure"]

    def configure(home: Path) -> None:
        # Airflow reads its settings when it is imported.
        start(home)
        from airflow.providers.standard.triggers.hitl import HITLTrigger
        from airflow.triggers.base import TriggerEvent

        async def run(_: Any) -> AsyncIterator[TriggerEvent]:
            yield TriggerEvent(
                {
                    "chosen_options": [answer],
                    "params_input": {},
                    "responded_at": datetime.now(UTC),
                    "responded_by_user": {"id": "7", "name": "Ada"},
                    "timedout": False,
                }
            )

        HITLTrigger.run = run

    main_ = namespace["main"]
    main_.__globals__["configure"] = configure
    sys.exit(main_())


if __name__ == "__main__":
    main()
