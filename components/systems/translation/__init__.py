"""Systems that make a picture of a picture."""
