"""A tree of hashes over the audit's lines: proves that a line is one of them, and shows no other line."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

Side = Literal["left", "right"]
Path = list[tuple[Side, str]]  # from a leaf to the root: the hashes to add, and on which side


@dataclass
class _Subtree:
    leaves: int
    hash: str
    wanted: list[int] = field(default_factory=list)  # leaves below whose paths are wanted


def build(leaves: Iterable[str], wanted: Collection[int] = ()) -> tuple[str, dict[int, Path]]:
    """The root over these hashes, and the paths of the wanted leaves, which are numbered from 1. Needs one at least.

    A leaf is the hash of a line. A node is the SHA-256 of its two children's hashes as text: 128 hexadecimal digits.
    The shape is that of RFC 9162: the left subtree of n leaves has the largest power of two below n.
    """
    stack: list[_Subtree] = []
    paths: dict[int, Path] = {number: [] for number in wanted}
    for number, leaf in enumerate(leaves, 1):
        stack.append(_Subtree(1, leaf, [number] if number in paths else []))
        while len(stack) > 1 and stack[-1].leaves == stack[-2].leaves:
            _join(stack, paths)
    while len(stack) > 1:
        _join(stack, paths)
    return stack[0].hash, paths


def _join(stack: list[_Subtree], paths: dict[int, Path]) -> None:
    right, left = stack.pop(), stack.pop()
    for number in left.wanted:
        paths[number].append(("right", right.hash))
    for number in right.wanted:
        paths[number].append(("left", left.hash))
    stack.append(_Subtree(left.leaves + right.leaves, _node(left.hash, right.hash), left.wanted + right.wanted))


def root_of(leaf: str, path: Sequence[tuple[str, str]]) -> str:
    """The root to which a path leads from a leaf."""
    found = leaf
    for side, other in path:
        found = _node(other, found) if side == "left" else _node(found, other)
    return found


def _node(left: str, right: str) -> str:
    return sha256((left + right).encode()).hexdigest()
