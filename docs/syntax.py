"""Syntax trees of the sources, for what is made of them and for tests of the architecture."""

import ast
import gc


def parse(source: str) -> ast.Module:
    """A source's syntax tree.

    Without a garbage collection meanwhile: CPython 3.11 counts the depth of all parses of a process as one, and raises
    SystemError when a destructor, or a thread that it lets run, parses in between (python/cpython#106905). Formatting a
    traceback parses, too.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(source)
    finally:
        if was_enabled:
            gc.enable()
