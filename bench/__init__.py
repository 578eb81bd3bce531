"""Performance as ratios: each figure is Lethe against the plain way, measured in turn in one run."""
