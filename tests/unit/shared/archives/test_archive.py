"""Where an archive is written."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from shared.archives.archive import Archive
from shared.archives.journal import Facts, Journal


@pytest.mark.parametrize("of_deletion", [False, True])
@pytest.mark.parametrize("instance_id", ["", ".", "..", "../..", "/etc", 'a/b *?:"\\'])
def test_it_is_one_folder_of_its_place(tmp_path: Path, instance_id: str, of_deletion: bool) -> None:
    """Whatever the id of the instance is."""
    unused: Any = None
    facts = Facts(UUID(int=1), instance_id, "name", "", with_secrets=False, recipient=None, of_deletion=of_deletion)

    folder = Archive(unused, unused, Journal(unused, unused, facts)).folder

    assert (tmp_path / folder).resolve().parent == tmp_path.resolve()
