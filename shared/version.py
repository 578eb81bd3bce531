"""The version of Lethe, as in pyproject.toml: a test compares them. In the image there is no metadata to ask."""

VERSION = "1.0.0"
