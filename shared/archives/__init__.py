"""Archives: what an instance has, written to a folder or bucket before it is erased, and read back. Steps' helpers,
orders and commands may import it; it knows no deletion, and never removes what it has closed."""
