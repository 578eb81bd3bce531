"""What a command does, one module for each group of commands. cli.commands imports them inside of functions, when a
command is carried out; nothing else does."""
