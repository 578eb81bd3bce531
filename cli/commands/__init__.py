"""What can be typed: commands, their options and their help. Only cli.main imports it; it imports nothing heavy, so
that help and completion answer at once."""
