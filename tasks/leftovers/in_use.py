"""The ids and names of all instances and all unfinished deletions: what is none of them is nobody's."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.database.connections import translate_errors
from shared.database.models import ENDED, Deletion
from shared.evolution.cache import keys as cache_keys
from shared.evolution.rows.schema import ROOT
from shared.services import Services


@dataclass(frozen=True)
class InUse:
    """What somebody has, or is being deleted."""

    ids: frozenset[str]
    names: frozenset[str]

    def has(self, owner: str) -> bool:
        """Whether it is an id or a name."""
        return owner in self.ids or owner in self.names

    def explains(self, prefix: str, key: str) -> bool:
        """Whether a key of the cache could be kept for one of them."""
        session = cache_keys.session_in(prefix, key)
        if session is not None:
            return self.has(session)
        ids, names = cache_keys.possible_ids(prefix, key), cache_keys.possible_names(prefix, key)
        return bool(ids & self.ids or names & self.names)


def look(services: Services) -> InUse:
    """Ask both databases, now."""
    # Evolution's first: what has lost its name there since is an unfinished deletion in ours, or is gone altogether.
    # All of its rows: one that reserves a name stands for an unfinished deletion as well.
    rows = services.tenant.ask(f"SELECT id, name FROM {services.tenant.table(ROOT)}", {})
    query = select(Deletion.instance_id, Deletion.instance_name).where(Deletion.status.not_in(ENDED))
    with translate_errors("the own database"), Session(services.own) as session:
        rows += [tuple(row) for row in session.execute(query)]
    return InUse(frozenset(each for each, _ in rows), frozenset(name for _, name in rows))
