"""SurroundQA: procedural panoramas with exact ground truth, captions and balanced questions."""
