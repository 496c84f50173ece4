"""Objectives beside language modelling: VICReg and InfoNCE on geometry-exact correspondences."""
