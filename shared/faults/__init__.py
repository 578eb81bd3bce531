"""What other servers' errors mean: one table, and for each kind of server its translation into Lethe's errors.

Everything that talks to a server may import it; it knows shared.errors only.
"""
