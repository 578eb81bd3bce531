"""`lethe doctor`: checks everything that a deletion needs. Only the command line imports it; it changes nothing
unless --fix is given."""
