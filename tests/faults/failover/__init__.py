"""A pair of servers each: the primary is killed in the middle of a deletion, and the other one takes over."""
