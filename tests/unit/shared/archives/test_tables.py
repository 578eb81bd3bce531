"""How rows come out of COPY."""

import json

from shared.archives import tables


def test_each_row_is_one_line_of_json() -> None:
    """COPY doubles backslashes, and writes line breaks between the values of a json[] as escapes."""
    sent = rb'{"a":"x \\n \\\\ \\"","b":[{"c":\n\t1},"\\\\n"]}' + b"\n"

    line = tables._unescaped([memoryview(sent)])

    assert json.loads(line) == {"a": 'x \n \\ "', "b": [{"c": 1}, "\\n"]}
    assert line.count(b"\n") == 1
