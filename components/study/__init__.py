"""The perceptual study: people are shown a real and a generated picture for a second and say which was real."""
