"""Which finished rows are asked for again, and what is kept of them."""
