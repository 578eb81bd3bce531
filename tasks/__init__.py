"""What a deletion does: one module per step, in the order of tasks.pipeline."""
