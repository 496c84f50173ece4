"""Ablation studies: one experiment, many arms that differ in named settings."""
