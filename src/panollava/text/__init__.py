"""From messages to token ids and labels."""
