"""Shards: samples in reproducible tars, with a manifest and an index; written, verified and read here."""
