"""The papers' tables: named runs, cells of a run and a seed, and what a table says of them."""
