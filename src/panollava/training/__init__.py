"""Training: stages as data, freezing set once, a thin Lightning module."""
