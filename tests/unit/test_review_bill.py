from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from pydantic import ValidationError
from support.rendered import CONTRACTS, STACKS, changed, estate, of, planted

from lakehouse.errors import EstateError
from localaws.apply import Recorded, render, stack_config
from review.bill import PAGE, bill, page, summed, total
from review.bill import STACKS as BILLED
from review.month import Month
from review.prices import Prices, load
from review.pricing import FREE, PRICED
from review.whatif import declared

PRICES = load()
UPDATE = "if it is meant, run 'nox -s golden' and commit what it writes"


def usd(resources: Sequence[Recorded], stack: str = "prod", prices: Prices = PRICES) -> float:
    return total(bill(stack, resources, prices), prices)


def part(component: str, resources: Sequence[Recorded], stack: str = "prod") -> float:
    found = summed(bill(stack, resources, PRICES), PRICES, lambda line: line.component)
    return found.get(component, 0)


def another(resources: list[Recorded], kind: str, name: str) -> list[Recorded]:
    return [*resources, replace(of(resources, kind)[name], name=f"{name}-more")]


def test_the_page_is_what_the_program_computes() -> None:
    found = page(PRICES, {stack: estate(stack) for stack in BILLED})

    assert PAGE.read_text(encoding="utf-8") == found, UPDATE


def test_prod_is_below_900_usd_a_month_and_dev_below_60() -> None:
    assert 0 < usd(estate("dev"), "dev") < 60
    assert usd(estate("dev"), "dev") < usd(estate("staging"), "staging")
    assert usd(estate("staging"), "staging") < usd(estate("prod")) < 900


@pytest.mark.parametrize("stack", BILLED)
def test_a_stacks_budget_is_what_it_costs_and_some_room(stack: str) -> None:
    (budget,) = of(estate(stack), "Budget").values()

    assert usd(estate(stack), stack) < float(budget.inputs["limitAmount"])


@pytest.mark.parametrize("stack", STACKS)
def test_every_type_is_priced_or_free(stack: str) -> None:
    kinds = {r.type for r in estate(stack)}

    assert kinds <= set(PRICED) | set(FREE)
    assert not set(PRICED) & set(FREE)


def test_every_price_is_asked_for_and_none_is_missing() -> None:
    lines = [line for stack in BILLED for line in bill(stack, estate(stack), PRICES)]
    lines += bill("prod", declared("jobs", {"metrics": True}), PRICES)
    for size in ("micro", "medium", "large"):
        workers = 1 if size == "micro" else 3
        wanted = {"environment_class": f"mw1.{size}", "max_workers": workers}
        lines += bill("prod", declared("airflow", wanted), PRICES)
    network = {"network": {"zones": 2, "egress": "endpoints"}, "jobs": {}}
    lines += bill("staging", render("staging", CONTRACTS, network), PRICES)

    assert {line.price for line in lines} == set(PRICES.prices)


def test_a_type_without_a_price_stops_with_its_name() -> None:
    unknown = replace(estate("dev")[0], type="aws:redshift/cluster:Cluster", name="warehouse")

    with pytest.raises(EstateError, match=r"redshift/cluster:Cluster 'warehouse' has no price"):
        usd([*estate("dev"), unknown], "dev")


def test_a_second_gateway_costs_an_hour_of_it_and_of_its_address_each() -> None:
    prod = estate("prod")
    more = another(another(prod, "NatGateway", "public-0"), "Eip", "public-0")
    prices, hours = PRICES.prices, PRICES.everywhere.hours

    expected = hours * (prices["nat_hour"].usd + prices["address_hour"].usd)
    assert usd(more) - usd(prod) == pytest.approx(expected)
    assert part("Network", more) - part("Network", prod) == pytest.approx(expected)


def test_more_workers_cost_in_proportion_unless_they_scale() -> None:
    prod = estate("prod")
    (before,) = (line for line in bill("prod", prod, PRICES) if line.what == "job land")
    doubled = planted(prod, "Job", "land", numberOfWorkers=4.0)
    (after,) = (line for line in bill("prod", doubled, PRICES) if line.what == "job land")
    scaled = planted(prod, "Job", "promote", numberOfWorkers=40.0)

    assert after.quantity == 2 * before.quantity
    assert usd(scaled) == pytest.approx(usd(prod))
    larger = planted(prod, "Job", "land", workerType="G.2X")
    assert usd(larger) == pytest.approx(usd(doubled))


def test_flex_is_cheaper_and_streaming_costs_every_hour() -> None:
    dev, local = estate("dev"), estate("local")
    standard = planted(dev, "Job", "land", executionClass="STANDARD")
    (streaming,) = (line for line in bill("local", local, PRICES) if "ingest" in line.what)

    assert usd(standard, "dev") > usd(dev, "dev")
    assert streaming.quantity == 2 * 0.25 * PRICES.everywhere.hours


def test_a_job_runs_as_often_as_its_schedule_starts_it() -> None:
    prod = estate("prod")
    ingest = of(prod, "Job")["ingest-main"]
    often = changed(prod, "Schedule", "ingest-main", "scheduleExpression", "rate(5 minutes)")
    paused = planted(prod, "Schedule", "ingest-main", state="DISABLED")

    assert Month("prod", prod, PRICES).runs(ingest) == 730 * 4
    assert Month("prod", often, PRICES).runs(ingest) == 730 * 12
    assert Month("prod", paused, PRICES).runs(ingest) == 0
    with pytest.raises(EstateError, match=r"'cron\(0 5 \* \* \? \*\)' is no rate"):
        usd(changed(prod, "Schedule", "ingest-main", "scheduleExpression", "cron(0 5 * * ? *)"))


def test_streams_cost_by_the_shard_or_by_the_gigabyte() -> None:
    staging, prod = estate("staging"), estate("prod")
    shards = planted(staging, "Stream", "flights", shardCount=4.0)
    short = planted(staging, "Stream", "flights", retentionPeriod=24.0)
    hours, prices = PRICES.everywhere.hours, PRICES.prices

    assert part("Streams", shards, "staging") - part("Streams", staging, "staging") == (
        pytest.approx(2 * hours * (prices["kinesis_shard_hour"].usd + 0.02))
    )
    saved = part("Streams", staging, "staging") - part("Streams", short, "staging")
    assert saved == pytest.approx(2 * hours * prices["kinesis_shard_hour_kept"].usd)
    busy = PRICES.stacks["prod"].model_copy(update={"events_a_second": 100})
    more = PRICES.model_copy(update={"stacks": PRICES.stacks | {"prod": busy}})
    gb = 50 * hours * 3600 / 1e6
    kept = gb / hours * 144
    assert usd(prod, prices=more) - usd(prod) == pytest.approx(
        gb * (0.08 + 0.04) + kept * prices["kinesis_gb_kept"].usd
    )


def test_prices_are_dated_sourced_and_say_whether_they_were_read() -> None:
    assert stack_config("prod")["aws:region"] != PRICES.region, "the page says so; mend it"
    for name, price in PRICES.prices.items():
        assert re.match(r"[\w.-]+\.\w+/", price.source), name
    assert {price.read for price in PRICES.prices.values()} == {True, False}
    with pytest.raises(ValidationError, match="usd"):
        Prices.model_validate(PRICES.model_dump() | {"prices": {"x": {"unit": "GB"}}})
