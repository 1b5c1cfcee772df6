"""What takes the figures takes those it knows, and tells what it can."""

from pathlib import Path
from typing import Any

from prometheus_client import generate_latest

from relay.app.metrics import Figures, Looked, Standing
from relay.environment.listeners import Listeners
from relay.store import Store


def nobody() -> Listeners:
    """Return listeners of which there are none."""

    async def alive() -> list[Any]:
        return []

    return Listeners([], lambda _: None, None, alive=alive, most=1, rest_after=1.0)  # type: ignore[arg-type, return-value]


def value(figures: Figures, name: str, **labels: str) -> float | None:
    return figures.registry.get_sample_value(name, labels)


def test_a_figure_begins_at_zero_for_each_of_its_labels() -> None:
    figures = Figures(["workshop"])
    assert value(figures, "relay_environment_reconnects_total", environment="workshop") == 0
    assert value(figures, "relay_arrivals_total", kind="view", outcome="defect") == 0


def test_a_label_that_is_not_known_beforehand_makes_no_series() -> None:
    figures = Figures(["workshop"])
    before = generate_latest(figures.registry).count(b"\nrelay_")
    figures.seen("environment_reconnects", environment="of nobody")
    figures.seen("arrivals", kind="command", outcome="U0ADA")
    figures.seen("nothing_of_ours")
    assert generate_latest(figures.registry).count(b"\nrelay_") == before


def test_two_relays_in_one_process_count_apart() -> None:
    one, other = Figures([]), Figures([])
    one.seen("decisions", outcome="approved")
    assert value(one, "relay_decisions_total", outcome="approved") == 1
    assert value(other, "relay_decisions_total", outcome="approved") == 0


async def test_a_store_that_does_not_answer_is_said_and_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    figures, store = Figures([]), Store.open(f"sqlite:///{tmp_path}/relay.db")
    standing = Standing(figures.registry, Looked(store, nobody(), None))
    await standing.look()
    assert value(figures, "relay_store_up") == 1
    assert value(figures, "relay_deliveries_waiting", kind="message", state="pending") == 0
    await store.close()
    await standing.look()
    assert value(figures, "relay_store_up") == 0
    assert value(figures, "relay_deliveries_waiting", kind="message", state="pending") is None
    assert str(value(figures, "relay_deliveries_overdue_seconds")) == "nan"
    assert value(figures, "relay_decisions_total", outcome="approved") == 0
