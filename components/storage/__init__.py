"""Where bytes lie: files, remote roots, caches, locks."""
