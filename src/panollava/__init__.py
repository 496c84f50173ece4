"""panollava: vision-language models that understand 360-degree panoramas."""

__version__ = "0.1.0"
