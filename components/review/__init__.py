"""The gate of the registry: compares a candidate with the champion, and records who promoted what."""
