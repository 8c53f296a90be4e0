"""What callers may do: rows that grant actions on entities to roles. Whatever no row grants is denied."""
