"""The demo: a page that translates what is drawn on it, as it is drawn."""
