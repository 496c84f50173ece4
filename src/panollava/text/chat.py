"""Chat template -> token ids, one segment per turn, never re-tokenised.

A conversation about one panorama is laid out as::

    | head | vision placeholders | question | answer | tail |
    |<----- prefix ------------->|<-------- branch -------->|

    head      what the template puts before the user's words (BOS, system prompt, user header)
    question  the query and what the template puts between it and the answer (end of turn, assistant header)
    answer    the assistant's words;  tail  the end-of-turn token.  Only these two are supervised.

The segments are found once, by rendering the tokenizer's own template with marks in place of the words. Training and
generation build a prompt from the same segments, so they agree id by id up to the answer, for any template.
"""

from dataclasses import dataclass
from typing import Any

import jinja2

from panollava.errors import ModelError

IGNORE_INDEX = -100
"""Label of a position that is not supervised (PyTorch's cross-entropy default)."""

PLACEHOLDER_ID = -200
"""Id that stands for one vision token. It is outside every vocabulary, so no text can imitate it."""

_DATE = "26 Jul 2024"
"""What a template that dates its prompt (Llama 3.2) is told: today's date would change the prompt after training."""

_VISION, _QUERY, _ANSWER = "[[vision]]", "[[query]]", "[[answer]]"
_PLAIN_TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ m['content'] }}\n"
    "{% elif m['role'] == 'user' %}User: {{ m['content'] }}\n"
    "{% else %}Assistant: {{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}Assistant: {% endif %}"
)


@dataclass(frozen=True, slots=True)
class ChatFormat:
    """The text around the words of one user turn and one assistant turn, for one tokenizer.

    Attributes:
        tokenizer: A Hugging Face tokenizer.
        head: Text before the vision placeholders.
        separator: Text between placeholders and query.
        bridge: Text between query and answer.
        tail_ids: Ids that end the answer; the first of them stops generation.
    """

    tokenizer: Any
    head: str
    separator: str
    bridge: str
    tail_ids: tuple[int, ...]

    @property
    def stop_id(self) -> int:
        """Id of the token that ends an answer."""
        return self.tail_ids[0]

    def prefix_ids(self, vision_tokens: int) -> list[int]:
        """Return the ids that all questions on one panorama share: head and placeholders."""
        return [*self._encode(self.head), *[PLACEHOLDER_ID] * vision_tokens]

    def question_ids(self, query: str, *, after_vision: bool = True) -> list[int]:
        """Return the ids from the end of the prefix to the first id of the answer.

        Args:
            query: The user's words.
            after_vision: False for a text-only conversation, which has no placeholders to separate from.
        """
        before, words = self.separator if after_vision else "", query.strip()
        if self._imitates(words):
            return [*self._encode(before), *self._encode_literally(words), *self._encode(self.bridge)]
        return self._encode(before + words + self.bridge)

    def answer_ids(self, answer: str) -> list[int]:
        """Return the supervised ids: the answer's words and the end of the turn."""
        words = answer.strip()
        said = self._encode_literally(words) if self._imitates(words) else self._encode(words)
        return [*said, *self.tail_ids]

    def decode(self, ids: list[int]) -> str:
        """Return the words of generated ids, up to the stop token.

        A NUL, which no table of predictions may hold, is shown as the bytes that are no text are: U+FFFD.
        """
        kept = ids[: ids.index(self.stop_id)] if self.stop_id in ids else ids
        return str(self.tokenizer.decode(kept, skip_special_tokens=True)).replace("\0", "\ufffd").strip()

    def _imitates(self, words: str) -> bool:
        """Whether somebody's words contain the text of a control token, such as one that ends a turn."""
        return any(token in words for token in self.tokenizer.get_added_vocab())

    def _encode_literally(self, words: str) -> list[int]:
        """Return ids that spell the words out, control tokens included, so that nobody can end a turn by writing so."""
        return list(self.tokenizer.encode(words, add_special_tokens=False, split_special_tokens=True))

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False)) if text else []


def chat_format(tokenizer: Any, *, system_prompt: str | None = None) -> ChatFormat:
    """Read the layout of one exchange off the tokenizer's chat template.

    A tokenizer without a template gets a plain ``User: ... Assistant: ...`` layout; a template that knows no system
    role gets the system prompt in front of the user's words.

    Raises:
        ModelError: If the template drops or reorders the words, or if its generation prompt differs from what it
            puts before a finished answer: training and generation would then see different prompts.
    """
    template = tokenizer.chat_template or _PLAIN_TEMPLATE
    user = f"{_VISION}\n{_QUERY}"
    system = [{"role": "system", "content": system_prompt}] if system_prompt else []
    turns = [*system, {"role": "user", "content": user}, {"role": "assistant", "content": _ANSWER}]
    try:
        text = _render(tokenizer, turns, template=template)
    except jinja2.TemplateError:
        turns = [{"role": "user", "content": f"{system_prompt}\n\n{user}"}, turns[-1]]
        text = _render(tokenizer, turns, template=template)
    marks = [text.find(mark) for mark in (_VISION, _QUERY, _ANSWER)]
    if -1 in marks or marks != sorted(marks):
        raise ModelError(
            f"the chat template of {type(tokenizer).__name__} loses or reorders the words: it rendered {text!r}. "
            "Give the tokenizer a template that keeps user and assistant content in order."
        )
    prompt = _render(tokenizer, turns[:-1], template=template, generation=True)
    if not text.startswith(prompt):
        raise ModelError(
            "the chat template's generation prompt is not a prefix of the finished exchange: "
            f"{prompt!r} against {text[: len(prompt)]!r}. Training and generation would see different prompts."
        )
    head, rest = text.split(_VISION, 1)
    separator, rest = rest.split(_QUERY, 1)
    bridge, tail = rest.split(_ANSWER, 1)
    tail_ids = tokenizer.encode(tail.strip() or tokenizer.eos_token, add_special_tokens=False)
    return ChatFormat(tokenizer, head, separator, bridge, (int(tail_ids[0]),))


def _render(tokenizer: Any, turns: list[dict[str, str]], *, template: str, generation: bool = False) -> str:
    return str(
        tokenizer.apply_chat_template(
            turns,
            chat_template=template,
            tokenize=False,
            add_generation_prompt=generation,
            date_string=_DATE,
        )
    )
