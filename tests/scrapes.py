"""What a relay tells at /metrics, for tests: asked over a real port, read by the library's own parser."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.world import Workplace

Figures = dict[tuple[str, ...], float]


def told(figures: Figures, name: str) -> Figures:
    """Return what is told of one figure, by its labels' values, zeros left out."""
    return {key[1:]: value for key, value in figures.items() if key[0] == name and value}


def logged(world: Workplace, event: str) -> list[dict[str, str]]:
    """Return the lines of the log that say this."""
    lines = [json.loads(line) for line in world.log.getvalue().splitlines()]
    return [line for line in lines if line["event"] == event]


def attempts(world: Workplace) -> Figures:
    """Return how often what was attempted, as the log has it."""
    lines = logged(world, "delivery.attempted")
    return {**Counter((line["kind"], line["outcome"]) for line in lines)}


async def whole_answer(world: Workplace) -> str:
    """Return the whole answer, as it is written."""
    port = logged(world, "metrics.serving")[-1]["port"]
    async with (
        aiohttp.ClientSession() as prometheus,
        prometheus.get(f"http://127.0.0.1:{port}/metrics") as answer,
    ):
        assert answer.status == 200
        return await answer.text()


async def scraped(world: Workplace) -> Figures:
    """Return every sample, by its name and the values of its labels in the order of their names."""
    samples = [
        one for family in text_string_to_metric_families(await whole_answer(world)) for one in family.samples
    ]
    return {(one.name, *(one.labels[label] for label in sorted(one.labels))): one.value for one in samples}


async def scraped_until(world: Workplace, right: Callable[[Figures], bool]) -> Figures:
    """Ask until the figures are right; each question is a round trip."""
    figures: Figures = {}
    try:
        async with asyncio.timeout(30):
            while not right(figures := await scraped(world)):
                pass
    except TimeoutError:
        raise AssertionError({name: value for name, value in figures.items() if value}) from None
    return figures


async def at_rest(world: Workplace) -> Figures:
    """Return the figures once everything has left and is on the log."""
    return await scraped_until(
        world,
        lambda figures: (
            not told(figures, "relay_deliveries_waiting")
            and told(figures, "relay_delivery_attempts_total") == attempts(world)
        ),
    )
