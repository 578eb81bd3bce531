"""`lethe init`: makes Lethe's .env from Evolution's own. Only the command line imports it; it connects to nothing but
for the checks of `lethe doctor` at its end."""
