"""Encoder + resampler + projector + position + language model = PanoramaVLM."""
