"""Where settings come from: variables, and the files that variables name; no other module reads the environment."""

import os
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from shared.settings.forms import text
from shared.settings.forms.translation import AS_IT_IS

PREFIX = "LETHE_"


def of_this_process() -> set[str]:
    """The names of all variables that begin with the prefix."""
    return {name for name in os.environ if name.startswith(PREFIX)}


def source_of(name: str) -> str:
    """The source of a setting: its variable, its variable for a file, or "default"."""
    is_set = {variable.upper() for variable, value in os.environ.items() if value}
    variable = f"{PREFIX}{name.upper()}"
    if variable in is_set:
        return variable
    path = os.environ.get(f"{variable}_FILE")
    return f"{variable}_FILE={path}" if path else "default"


class FileSource(PydanticBaseSettingsSource):
    """Reads LETHE_X from the file that LETHE_X_FILE names, e.g. a container's secret."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: D102
        path = os.environ.get(f"{PREFIX}{field_name.upper()}_FILE")
        if not path:
            return None, field_name, False
        return text.read(Path(path), keep_mark=field_name == AS_IT_IS).rstrip("\n"), field_name, False

    def __call__(self) -> dict[str, Any]:  # noqa: D102
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}
