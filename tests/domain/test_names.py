"""Ids and hashes."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.canonical import canonical_json, input_hash, json_writer, short_code
from relay.domain.ids import new_id

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def test_ids_sort_by_the_time_they_were_made() -> None:
    ids = [new_id("msg", NOW + timedelta(milliseconds=number)) for number in range(100)]
    assert ids == sorted(ids)


def test_ids_of_one_moment_differ() -> None:
    assert len({new_id("msg", NOW) for _ in range(10_000)}) == 10_000


def test_an_id_says_what_it_names_and_is_a_version_seven_uuid() -> None:
    prefix, _, digits = new_id("apr", NOW).partition("_")
    assert (prefix, len(digits), digits[12]) == ("apr", 32, "7")
    assert digits[16] in "89ab"


@given(st.dictionaries(st.text(), JSON))
def test_the_order_of_keys_means_nothing(value: dict[str, object]) -> None:
    backwards = dict(reversed(value.items()))
    assert canonical_json(value) == canonical_json(backwards)


@given(JSON | st.floats() | st.dictionaries(st.integers() | st.booleans() | st.none(), st.floats()))
def test_json_is_as_the_standard_encoder_writes_it(value: object) -> None:
    compact = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert json_writer()(value) == compact
    assert json_writer(blanks=True)(value) == json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict) or all(isinstance(key, str) for key in value):
        assert canonical_json(value) == json.dumps(
            value, ensure_ascii=False, separators=(",", ":"), sort_keys=True
        )


def test_what_is_no_json_is_refused_unless_it_is_said_how_to_write_it() -> None:
    with pytest.raises(TypeError):
        json_writer()({"when": NOW})
    with pytest.raises(TypeError):
        json_writer()({(1, 2): 3})
    assert json_writer(default=repr)({"when": NOW}) == json.dumps({"when": repr(NOW)}, separators=(",", ":"))


@pytest.mark.parametrize("blanks", [True, False])
def test_without_the_encoders_c_part_it_is_the_same(monkeypatch: pytest.MonkeyPatch, *, blanks: bool) -> None:
    value = {"b": ["é", 1, None], "a": NOW}
    fast = json_writer(sort_keys=True, blanks=blanks, default=repr)(value)
    monkeypatch.setattr("json.encoder.c_make_encoder", None)
    assert json_writer(sort_keys=True, blanks=blanks, default=repr)(value) == fast
    unsorted = json_writer(blanks=blanks, default=repr)(value)
    assert json.loads(unsorted) == json.loads(fast) and unsorted != fast


def test_what_holds_itself_is_refused_and_leaves_nothing_behind() -> None:
    write, held = json_writer(), list[Any]()
    held.append(held)
    for _ in range(2):
        with pytest.raises(RecursionError):
            write(held)
    held.clear()
    assert write(held) == "[]"


@given(JSON, JSON)
def test_another_input_has_another_hash(one: object, other: object) -> None:
    same = canonical_json(one) == canonical_json(other)
    assert (input_hash(b"k", "Bash", one, ()) == input_hash(b"k", "Bash", other, ())) == same


def test_the_hash_depends_on_the_tool_the_diffs_and_the_key() -> None:
    hashes = {
        input_hash(b"k", "Bash", {}, []),
        input_hash(b"k", "Write", {}, []),
        input_hash(b"k", "Bash", {}, [1]),
        input_hash(b"other", "Bash", {}, []),
    }
    assert len(hashes) == 4


def test_half_a_character_can_be_hashed() -> None:
    assert len(input_hash(b"k", "Bash", {"command": "\ud800"}, ())) == 32


def test_the_code_people_type_is_the_same_wherever_it_is_made() -> None:
    assert (short_code("apr_1", "shown"), short_code("apr_2", "shown")) == ("3KUNQ", "9THT4")


@given(st.text("0123456789abcdef_apr", max_size=40), st.text("0123456789abcdef", max_size=32))
def test_the_code_people_type_is_five_letters_none_of_which_is_read_as_another(one: str, shown: str) -> None:
    code = short_code(one, shown)
    assert len(code) == 5
    assert set(code).isdisjoint("IO01") and code == code.upper()


@pytest.mark.parametrize(
    ("chance", "shown"),
    [
        (bytes(range(0xF0, 0xFA)), "70f1b2f3f4f5f6f7f8f9"),
        (bytes(range(0x0F, 0x19)), "7f1091121314151617 18".replace(" ", "")),
        (bytes([0x1A, 0, 0x7F, 0xC1, 0, 0, 0, 0, 0, 1]), "7a00bfc1000000000001"),
    ],
)
def test_an_id_is_its_milliseconds_and_chance(
    chance: bytes, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.domain.ids.os.urandom", lambda number: chance[:number])
    now = datetime(2023, 11, 14, 22, 13, 20, 500_000, tzinfo=UTC)
    assert new_id("apr", now) == f"apr_018bcfe569f4{shown}"
