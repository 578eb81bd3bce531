"""The tree over the audit's lines: its shape, and the paths that prove a line."""

from hashlib import sha256

import pytest

from shared.audit import tree


def of(text: str) -> str:
    """A hash."""
    return sha256(text.encode()).hexdigest()


def expected_root(leaves: list[str]) -> str:
    """As RFC 9162 defines it: the left part has the largest power of two below the number."""
    if len(leaves) == 1:
        return leaves[0]
    left = 1 << ((len(leaves) - 1).bit_length() - 1)
    return of(expected_root(leaves[:left]) + expected_root(leaves[left:]))


@pytest.mark.parametrize("number", [1, 2, 3, 5, 6, 7, 8, 13, 64, 65])
def test_each_leaf_leads_to_the_root(number: int) -> None:
    """By its own path, which has no more steps than the tree is high."""
    leaves = [of(str(each)) for each in range(number)]

    root, paths = tree.build(leaves, range(1, number + 1))

    assert root == expected_root(leaves)
    assert [tree.root_of(leaf, paths[at]) for at, leaf in enumerate(leaves, 1)] == [root] * number
    assert max(map(len, paths.values())) == (number - 1).bit_length()


def test_another_leaf_or_path_leads_elsewhere() -> None:
    """A changed line, another line's path, the sides swapped."""
    leaves = [of(str(each)) for each in range(6)]
    root, paths = tree.build(leaves, [2, 3])
    swapped = [("left" if side == "right" else "right", other) for side, other in paths[2]]

    assert tree.root_of(of("other"), paths[2]) != root
    assert tree.root_of(leaves[1], paths[3]) != root
    assert tree.root_of(leaves[1], swapped) != root
