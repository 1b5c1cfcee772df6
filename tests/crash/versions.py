"""Versions of relay that are still to come: this one's code, with more migrations."""

import re
import shutil
from pathlib import Path

import relay
from relay.store.schema import HEAD

_SERVE = "import sys\n\nfrom relay.cli import main\n\nsys.exit(main(['serve']))\n"
_MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("messages", "deliveries", "approvals", "copies", "leases", "settings"):
        op.add_column(table, sa.Column("new_in_{revision}", sa.String(), server_default="nothing"))
    op.create_table("things_of_{revision}", sa.Column("name", sa.String(), primary_key=True))
"""


def later(number: int) -> str:
    """Return the schema that comes so many after this one's."""
    return f"{int(HEAD) + number:04}"


def version(folder: Path, name: str, ahead: int, readable_from: str) -> tuple[str, ...]:
    """Return the arguments of a relay of a later version, made in a folder.

    Each of its `ahead` migrations adds something to tables that are in use all the while. Its store says
    that relays from schema `readable_from` on work with it.
    """
    package = folder / name / "relay"
    ignore = shutil.ignore_patterns("__pycache__", "sandbox", "demo")
    shutil.copytree(Path(relay.__file__).parent, package, ignore=ignore)
    migrations = package / "store" / "migrations" / "versions"
    for number in range(1, ahead + 1):
        revision = later(number)
        written = _MIGRATION.format(revision=revision, before=later(number - 1))
        (migrations / f"{revision}_of_{name}.py").write_text(written, encoding="utf-8")
    schema = package / "store" / "schema.py"
    _set(schema, "HEAD", later(ahead))
    _set(schema, "_READABLE_FROM", readable_from)
    _set(package / "__init__.py", "__version__", name)
    serve = folder / name / "serve.py"
    serve.write_text(_SERVE, encoding="utf-8")
    return (str(serve),)


def _set(module: Path, name: str, value: str) -> None:
    found, times = re.subn(rf'(?m)^{name} = ".*"$', f'{name} = "{value}"', module.read_text(encoding="utf-8"))
    assert times == 1, f"{module.name} says {name} {times} times"
    module.write_text(found, encoding="utf-8")
