"""What the tests of evidence share."""

from collections.abc import Iterator

import pytest

from tests.authority import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    """An authority of the module."""
    made = Authority(tmp_path_factory.mktemp("authority"))
    made.start()
    yield made
    made.stop()
