"""An Evolution-shaped deployment on embedded parts, to see Lethe work on; never imported by the product."""
