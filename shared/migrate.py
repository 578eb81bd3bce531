"""`python -m shared.migrate`, as deployments call it: shared.database.migrate."""

import runpy

if __name__ == "__main__":
    runpy.run_module("shared.database.migrate", run_name="__main__")
