"""What people take away of a training: models at work on pictures of their own."""
