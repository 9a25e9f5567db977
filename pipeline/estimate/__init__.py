"""What a preparation will make and take, estimated from a sample of its input."""
