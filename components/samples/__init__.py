"""What a sample holds, and what is asked of it."""
