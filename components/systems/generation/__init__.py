"""Systems that make pictures from noise."""
