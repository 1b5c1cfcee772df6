"""`relay audit`: what is exported of a whole scenario, and whether the record is as it was written."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from relay.cli.audit import _cell
from relay.domain.audit import ACTIONS, ANCHOR
from tests.crash.relay_process import relay, relay_in_thread, running
from tests.scenarios.acts import ask_tool, audited
from tests.settings import config_of, problems_of
from tests.store.records import by_hand, prune
from tests.world import ADA, APPROVALS, GRACE, GUEST, OPS, World

KEY = "0123456789abcdef0123456789abcdef"
INPUT = {"command": "curl -H 'Authorization: Bearer sk-very-secret-token' https://example.test"}


def _url(world: World) -> str:
    return world.variables["RELAY_STORE_URL"]


async def _export(world: World, *more: str) -> list[dict[str, Any]]:
    said = await relay_in_thread(world, "audit", "export", *more)
    assert said.status == 0, said.err
    return [json.loads(line) for line in said.out.splitlines()]


async def _verify(world: World, *more: str) -> dict[str, Any]:
    said = await relay_in_thread(world, "audit", "verify", "--json", *more)
    found: dict[str, Any] = json.loads(said.out)
    assert said.status == (0 if found["good"] else 1)
    return found


async def _live(world: World) -> None:
    """Say something, have a tool asked for, be refused, decide, and be told."""
    card = await ask_tool(world, INPUT)
    await world.slack.click(GUEST, APPROVALS, card.ts, "approve")
    await world.slack.click(GRACE, APPROVALS, card.ts, "deny")
    await world.card_says("Delivered.")


async def test_a_scenario_is_on_the_record_and_verifies_beside_a_relay_and_without_one(here: World) -> None:
    await _live(here)
    beside = await _verify(here)
    actions = {entry["action"] for entry in await _export(here)}
    assert {"message.queued", "approval.requested", "decision.recorded", "approval.delivered"} <= actions
    assert beside["good"]
    await here.stop_relay()
    without = await _verify(here)
    assert without["good"]
    assert [chain["closed"] for chain in without["chains"]] == [True]
    assert [chain["key"] for chain in without["chains"]] == ["the store's own"]


async def test_nothing_secret_is_in_an_export_of_a_whole_scenario(here: World) -> None:
    await _live(here)
    here.environment.fail_posts(status=422)
    await here.slack.slash(ADA, OPS, "an unwanted message, word for word")
    await here.thread_says("Not delivered")
    for wanted in (["--format", "jsonl"], ["--format", "csv"]):
        said = (await relay_in_thread(here, "audit", "export", *wanted)).out
        hidden = [here.slack.bot_token, here.slack.signing_secret, here.environment.api_key, "response"]
        words = ["please use your tool", "word for word", "curl", "very-secret", "Denied by", "in Slack"]
        assert [word for word in hidden + words if word in said] == []
        assert ADA in said and GRACE in said


async def test_an_export_takes_what_is_asked_for_and_ends_with_the_anchors_of_every_chain(
    here: World,
) -> None:
    await _live(here)
    await here.stop_relay()  # which may have more to record: of the reply, that it arrived
    everything = await _export(here)
    *entries, anchor = everything
    last = entries[-1]
    assert anchor == {"action": "audit.anchor", **{name: last[name] for name in ("chain", "number", "mac")}}
    subject = next(one["subject_id"] for one in entries if one["action"] == "approval.requested")
    *some, end = await _export(here, "--subject", subject)
    assert (some, end) == ([one for one in entries if one["subject_id"] == subject], anchor)
    *some, _ = await _export(here, "--action", "decision.recorded", "--since", "1d")
    assert [one["actor"] for one in some] == [GRACE]
    assert await _export(here, "--until", "2020-01-01") == [anchor]
    assert await _export(here, "--since", "2999-01-01T00:00:00+00:00") == [anchor]


async def test_the_two_formats_hold_the_same(here: World) -> None:
    await _live(here)
    await here.stop_relay()  # which may have more to record: of the reply, that it arrived
    lines = await _export(here)
    said = await relay_in_thread(here, "audit", "export", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert [row["mac"] for row in rows] == [line["mac"] for line in lines]
    assert [json.loads(row["facts"] or "{}") for row in rows] == [line.get("facts", {}) for line in lines]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_cell_that_a_spreadsheet_would_run_is_text(text: str) -> None:
    assert _cell(text) == f"'{text}"
    assert _cell({"a": text}).startswith("{")


@pytest.mark.parametrize("form", ["jsonl", "csv"])
async def test_an_export_kept_elsewhere_shows_that_the_end_was_cut(here: World, form: str) -> None:
    await _live(here)
    await here.stop_relay()
    kept = here.folder / "kept"
    kept.write_text((await relay_in_thread(here, "audit", "export", "--format", form)).out)
    assert (await _verify(here, "--anchors", str(kept)))["good"]
    by_hand(_url(here), "DELETE FROM audit WHERE number > 3")
    assert (await _verify(here))["good"]
    found = await _verify(here, "--anchors", str(kept))
    assert [one["wrong"] for one in found["problems"]] == ["cut"]


async def test_the_log_of_a_relay_holds_anchors_that_show_the_same(here: World) -> None:
    await _live(here)
    await here.stop_relay()
    log = here.folder / "log"
    log.write_text(here.log.getvalue())
    assert (await _verify(here, "--anchors", str(log)))["good"]
    by_hand(_url(here), "DELETE FROM audit")
    found = await _verify(here, "--anchors", str(log))
    assert [one["wrong"] for one in found["problems"]] == ["missing"]


async def test_of_several_files_of_anchors_each_is_held_against_the_record(here: World) -> None:
    await _live(here)
    await here.stop_relay()
    old, new = here.folder / "old", here.folder / "new"
    old.write_text((await relay_in_thread(here, "audit", "export")).out)
    by_hand(_url(here), "DELETE FROM audit WHERE number > 3")
    new.write_text((await relay_in_thread(here, "audit", "export")).out)
    for files in ((old, new), (new, old)):
        found = await _verify(here, *(word for one in files for word in ("--anchors", str(one))))
        assert [one["wrong"] for one in found["problems"]] == ["cut"]


async def test_people_read_what_was_done_and_the_exit_status_is_1(here: World) -> None:
    await _live(here)
    await here.stop_relay()
    good = await relay_in_thread(here, "audit", "verify")
    assert good.status == 0
    assert good.out.endswith("nothing was changed\n")
    by_hand(_url(here), "UPDATE audit SET actor = 'U9' WHERE number = 3")
    bad = await relay_in_thread(here, "audit", "verify")
    assert bad.status == 1
    assert "number 3 was changed afterwards" in bad.out
    assert bad.out.endswith("the record is NOT as it was written\n")


async def test_that_nothing_was_ever_to_be_removed_for_its_age_is_said_to_verify(here: World) -> None:
    await _live(here)
    await here.stop_relay()
    assert (await _verify(here, "--never-pruned"))["good"]
    later = datetime.now(UTC) + timedelta(days=1)
    await prune(_url(here), later, later, keys=())
    assert (await _verify(here))["good"]
    found = await _verify(here, "--never-pruned")
    assert [one["wrong"] for one in found["problems"]] == ["pruned"]


async def test_half_a_letter_written_by_hand_keeps_nothing_from_being_exported(here: World) -> None:
    await _live(here)
    await here.stop_relay()
    by_hand(_url(here), r"""UPDATE audit SET facts = '{"a":"\ud800"}' WHERE number = 2""")
    for form in ("jsonl", "csv"):
        assert (await relay_in_thread(here, "audit", "export", "--format", form)).status == 0
    assert not (await _verify(here))["good"]


async def test_a_key_of_the_owners_signs_what_every_command_records(idle: World) -> None:
    idle.variables["RELAY_AUDIT_KEY"] = KEY
    async with running(idle) as process:
        idle.environment.fail_posts(status=422)
        await idle.slack.slash(ADA, OPS, "unwanted")
        await idle.thread_says("Not delivered")
        assert await process.stop() == 0
    listed = json.loads(
        (await relay_in_thread(idle, "deliveries", "list", "--state", "failed", "--json")).out
    )
    retried = await relay_in_thread(idle, "deliveries", "retry", listed["deliveries"][0]["id"])
    assert retried.status == 0
    found = await _verify(idle)
    assert found["good"]
    assert [chain["key"] for chain in found["chains"]] == ["RELAY_AUDIT_KEY"] * 2
    forgotten = await relay(idle, "audit", "verify", changed={"RELAY_AUDIT_KEY": None})
    assert forgotten.status == 1
    assert "a key that is not known here (see RELAY_AUDIT_KEY)" in forgotten.out


async def test_a_run_without_the_key_is_told_and_good_again_once_it_is_accepted(idle: World) -> None:
    for key in ({"RELAY_AUDIT_KEY": KEY}, {}):
        await idle.start_relay(key)
        await idle.slack.slash(ADA, OPS, "hello")
        await idle.environment.wait_for(lambda seen: seen.received)
        await idle.stop_relay()
    idle.variables["RELAY_AUDIT_KEY"] = KEY
    told = await relay_in_thread(idle, "audit", "verify")
    [chain] = {word for word in told.out.split("`")[1].split() if word.startswith("chn_")}
    assert (told.status, f"`relay audit accept {chain}` says so" in told.out) == (1, True)
    await idle.start_relay()
    said = await relay_in_thread(idle, "audit", "accept", chain)
    assert (said.status, said.out.startswith(f"accepted {chain} up to its number ")) == (0, True)
    found = await _verify(idle)
    assert found["good"]
    assert [one["chain"] for one in found["chains"] if one["accepted"]] == [chain]
    assert audited(idle, "audit.chain_accepted") == ["operator"]
    again = await relay_in_thread(idle, "audit", "accept", "chn_nowhere")
    assert (again.status, "there is no chain 'chn_nowhere'" in again.err) == (1, True)


async def test_a_killed_relay_leaves_a_record_that_verifies_and_the_next_one_logs_its_end(
    idle: World,
) -> None:
    async with running(idle) as process:
        await idle.slack.slash(ADA, OPS, "hello")
        await idle.thread_says("echo: hello")
        await process.kill()
    *_, anchor = await _export(idle)
    async with running(idle) as process:
        told = await process.logged(event="audit.anchor", chain=anchor["chain"])
        assert (told["number"], told["mac"]) == (anchor["number"], anchor["mac"])
        assert await process.stop() == 0
    assert (await _verify(idle))["good"]


async def test_a_running_relay_removes_what_is_too_old_and_says_so(idle: World) -> None:
    await idle.start_relay()
    await _live(idle)
    await idle.stop_relay()
    (idle.folder / "relay.toml").write_text('[audit]\nretention = "1d"\n')
    by_hand(_url(idle), "UPDATE audit SET chain = '', number = 0, mac = '', at = 0")
    async with running(idle) as process:
        await process.logged(event="audit.pruned")
        assert await process.stop() == 0
    found = await _verify(idle)
    assert (found["good"], found["before_chains"]) == (True, 0)


@pytest.mark.parametrize("arguments", [("export", "--since", "soon"), ("verify", "--anchors", "/nowhere")])
async def test_what_cannot_be_read_is_misuse(idle: World, arguments: tuple[str, ...]) -> None:
    said = await relay_in_thread(idle, "audit", *arguments)
    assert said.status == 2
    assert arguments[-1] in said.problem


async def test_a_file_without_anchors_is_no_proof_of_anything(idle: World) -> None:
    (idle.folder / "empty").write_text('{"event":"relay.serving"}\nno JSON\n[]\n')
    said = await relay_in_thread(idle, "audit", "verify", "--anchors", str(idle.folder / "empty"))
    assert said.status == 2
    assert "names no anchors" in said.problem


def test_the_record_is_kept_for_ever_unless_the_file_says_how_long(tmp_path: Path) -> None:
    assert config_of(tmp_path).audit.retention is None
    found = config_of(tmp_path, toml='[audit]\nretention = "365d"\n').audit.retention
    assert found is not None
    assert found.days == 365


@pytest.mark.parametrize("written", ['"0d"', '"-1d"', '"12"', "365", '"1y"', '"999999d"'])
def test_a_retention_that_is_no_number_of_days_is_refused(tmp_path: Path, written: str) -> None:
    [problem] = problems_of(tmp_path, toml=f"[audit]\nretention = {written}\n")
    assert "audit.retention: say a number of days in quotes" in problem


def test_the_keys_of_the_record_are_read_in_order_and_short_ones_refused(tmp_path: Path) -> None:
    keys = config_of(tmp_path, RELAY_AUDIT_KEY=f"{KEY}, {KEY[::-1]}").audit.keys
    assert [key.get_secret_value() for key in keys] == [KEY, KEY[::-1]]
    assert KEY not in repr(keys)
    [problem] = problems_of(tmp_path, RELAY_AUDIT_KEY="short")
    assert problem.startswith("RELAY_AUDIT_KEY is too short: say 32 characters")


async def test_an_action_that_is_never_recorded_is_misuse_and_told_with_those_like_it(idle: World) -> None:
    await idle.start_relay()
    await idle.slack.slash(ADA, OPS, "hello")
    await idle.thread_says("echo: hello")
    await idle.stop_relay()
    for form in ("jsonl", "csv"):
        said = await relay_in_thread(
            idle, "audit", "export", "--action", "decision.recorder", "--format", form
        )
        assert (said.status, ANCHOR in said.out) == (2, False)
        assert 'no entry is called "decision.recorder"; there are: decision.recorded, ' in said.problem
    said = await relay_in_thread(idle, "audit", "export", "--action", "xyz")
    assert (said.status, f"there are: {', '.join(sorted(ACTIONS))}" in said.err) == (2, True)
    assert [one["action"] for one in await _export(idle, "--action", "vote.given")] == [ANCHOR]
    assert [one["action"] for one in await _export(idle, "--action", ANCHOR)] == [ANCHOR]


async def test_an_action_of_another_time_is_exported_where_it_is_on_the_record(idle: World) -> None:
    await idle.start_relay()
    await idle.slack.slash(ADA, OPS, "hello")
    await idle.thread_says("echo: hello")
    await idle.stop_relay()
    by_hand(_url(idle), "UPDATE audit SET action = 'message.of_old' WHERE action = 'message.queued'")
    assert [one["action"] for one in await _export(idle, "--action", "message.of_old")] == [
        "message.of_old",
        ANCHOR,
    ]
