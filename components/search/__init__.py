"""The search over params: what is tried, the record of it, and the winner."""
