"""HTTP in: authenticates, validates, submits, reports. Never runs a step."""
