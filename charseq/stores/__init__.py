"""Object stores: their addresses, and clients that list and download."""
