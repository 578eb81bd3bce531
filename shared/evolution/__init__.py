"""The Evolution deployment that an instance is erased from: one room for each store, and the gateways. Steps,
commands and endpoints may import it; the stores do not import each other, and none knows a deletion's state."""
