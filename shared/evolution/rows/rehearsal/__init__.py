"""Before a deletion: what it relies on in Evolution's database is looked up, and its statements are tried on one row of
each table. The steps' rehearsals may import it; it leaves everything as it was."""
