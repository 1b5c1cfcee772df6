"""What was known of somebody who acted, as the audit keeps it."""

from typing import Any

from relay.domain.people import Person


def evidence_of(person: Person) -> dict[str, Any]:
    """Return what was known of a person, and how long ago Slack said so."""
    known = [{"of": one.of, "member": one.member, "age": one.age} for one in person.memberships]
    return {"standing": person.standing, **({"memberships": known} if known else {})}
