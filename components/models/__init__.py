"""What people use after a training: models that work on their own pictures."""
