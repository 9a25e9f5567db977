"""What requests and answers say: TensorFlow Serving's REST interface, and /ask."""
