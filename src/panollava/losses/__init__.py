"""Objectives beside language modelling: VICReg on geometry-exact correspondences."""
