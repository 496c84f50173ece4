"""Fine-tune one model with LoRA: the same as ``panollava lora``."""

import sys

from scripts.door import enter

if __name__ == "__main__":
    enter("lora", *sys.argv[1:])
