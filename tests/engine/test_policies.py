"""The house rules as a policy pack of a preview, under the real engine."""

from __future__ import annotations

import pytest
from engine import language
from engine.deployment import Deployment

from localaws.apply import ROOT

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]
PACK = ("--policy-pack", str(ROOT / "platform" / "policies"))


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_preview_of_what_is_up_passes_every_rule(
    stack: str, request: pytest.FixtureRequest
) -> None:
    deployment: Deployment = request.getfixturevalue(stack)

    preview = deployment.pulumi("preview", "--expect-no-changes", *PACK)

    assert preview.returncode == 0, preview.stdout + preview.stderr
    assert "✅ lakehouse-house-rules" in preview.stdout
    assert "[mandatory]" not in preview.stdout
    assert "[advisory]" not in preview.stdout


def test_a_planted_mistake_blocks_a_preview(
    dev: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    with language.running(language.PLANTED) as port:
        monkeypatch.setattr(dev, "program_port", port)

        preview = dev.pulumi("preview", *PACK)
        unasked = dev.pulumi("preview")

    assert preview.returncode != 0
    assert "[mandatory]  streams-are-encrypted" in preview.stdout
    assert "flights" in preview.stdout
    assert unasked.returncode == 0
    assert dev.provider.calls == []
