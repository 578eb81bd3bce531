"""The ids and names of all instances and all unfinished deletions: data of any other owner is a leftover."""

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
    """Ids and names that an instance or an unfinished deletion has."""

    ids: frozenset[str]
    names: frozenset[str]

    def has(self, owner: str) -> bool:
        """Whether this is one of the ids or names."""
        return owner in self.ids or owner in self.names

    def explains(self, prefix: str, key: str) -> bool:
        """Whether a cache key could belong to one of them."""
        session = cache_keys.session_in(prefix, key)
        if session is not None:
            return self.has(session)
        ids, names = cache_keys.possible_ids(prefix, key), cache_keys.possible_names(prefix, key)
        return bool(ids & self.ids or names & self.names)


def read(services: Services) -> InUse:
    """Read both databases."""
    # Evolution's first: an instance whose name is removed there meanwhile is an unfinished deletion here, or erased.
    # All of its rows: one that reserves a name belongs to an unfinished deletion as well.
    rows = services.tenant.ask(f"SELECT id, name FROM {services.tenant.table(ROOT)}", {})
    query = select(Deletion.instance_id, Deletion.instance_name).where(Deletion.status.not_in(ENDED))
    with translate_errors("the own database"), Session(services.own) as session:
        rows += [tuple(row) for row in session.execute(query)]
    return InUse(frozenset(each for each, _ in rows), frozenset(name for _, name in rows))
