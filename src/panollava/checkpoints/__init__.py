"""Checkpoints: directories that say what they are, and are verified before they are believed."""
