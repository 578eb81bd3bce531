"""What the longer commands do, with heavy imports at the top. cli.commands imports it inside of functions; nothing
else does."""
