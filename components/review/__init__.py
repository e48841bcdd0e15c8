"""The gate of the registry: a candidate beside the champion, and who promoted what."""
