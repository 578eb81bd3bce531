"""A stand-in for one Evolution API deployment: its schema, its data, its server and a webhook receiver."""
