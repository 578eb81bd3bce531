"""The commands: their names, options and help. Only cli.main imports it; modules import heavy libraries inside of
functions only, so that help and completion are fast."""
