"""The search over params: what is tried, what is remembered of it, and what wins."""
