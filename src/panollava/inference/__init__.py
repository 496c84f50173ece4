"""Inference: encode a panorama once, ask it many questions."""
