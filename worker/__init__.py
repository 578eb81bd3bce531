"""Processes and clocks: runs steps, one at a time per deletion, and heals what died."""
