"""From files to batches: manifests, images, the embedded panoramas, packing and the feature cache."""
