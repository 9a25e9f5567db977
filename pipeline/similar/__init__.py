"""Sequences that are nearly equal: pairs of a wanted identity, found without comparing all."""
