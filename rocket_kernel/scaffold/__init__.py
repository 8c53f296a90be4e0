"""What `rocket plugin new` writes: the names of a new plugin, its files, and how they come into being."""
