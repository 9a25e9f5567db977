"""What the pipeline and the trainer share; it imports neither of them."""
