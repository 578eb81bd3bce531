"""Forms in which operators have their values: Evolution's, Prisma's, quoted, in UTF-16. Only `shared.settings` and
`lethe init` import it; it imports nothing of Lethe."""
