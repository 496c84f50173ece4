"""The tokenizer "13a" of machine translation (mteval-v13a, sacrebleu's default), for a whole corpus at a time.

sacrebleu runs four substitutions over each text; here each runs once over all texts, which stand on lines of one
text. Every line has a space at both ends, so no rule can see over an end, and the tokens are the same.
"""

import re
from collections.abc import Sequence

# Punctuation stands alone, but a period or a comma between digits, and "-" unless after a digit, stay.
_RULES = (
    (re.compile(r"([!-&(-+:-@/\[-`{-~])"), r" \1 "),
    (re.compile(r"([^0-9])([.,])"), r"\1 \2 "),
    (re.compile(r"([.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))


def tokens_13a(texts: Sequence[str]) -> list[list[str]]:
    """Return the tokens of each text, case kept.

    Example:
        >>> tokens_13a(["It's 3.5 m away, (left).", "A 2-seat sofa"])
        [["It's", '3.5', 'm', 'away', ',', '(', 'left', ')', '.'], ['A', '2', '-', 'seat', 'sofa']]
    """
    lines = "\n".join([f" {_one_line(text)} " for text in texts])
    if "&" in lines:
        for entity, letter in _ENTITIES:
            lines = lines.replace(entity, letter)
    for pattern, replacement in _RULES:
        lines = pattern.sub(replacement, lines)
    return [line.split() for line in lines.split("\n")] if texts else []


def _one_line(text: str) -> str:
    """Drop white space at the end and the mark of skipped text, and join lines, also over a hyphen at their end."""
    text = text.rstrip()
    if "<skipped>" in text:
        text = text.replace("<skipped>", "")
    return text.replace("-\n", "").replace("\n", " ") if "\n" in text else text
