"""Chat layouts: what a model is asked in training is, id by id, what it is asked in use."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panollava.errors import ModelError
from panollava.text.chat import PLACEHOLDER_ID, chat_format

FAMILIES = ("qwen2", "llama", "gemma2", "plain")
STOP = {"qwen2": "<|im_end|>", "llama": "<|eot_id|>", "gemma2": "<end_of_turn>", "plain": "</s>"}
QUERY, ANSWER = "what is behind you?", "the red ball"


def rendered(tokenizer, *, answer, system=None, vision=""):
    """Return the family's own text of one exchange, from the template itself."""
    user = f"{vision}\n{QUERY}" if vision else QUERY
    turns = [{"role": "system", "content": system}] if system else []
    turns.append({"role": "user", "content": user})
    if answer is not None:
        turns.append({"role": "assistant", "content": answer})
    return tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=answer is None)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("system", [None, "You stand inside the panorama."])
@pytest.mark.parametrize("tokens", [0, 3])
def test_training_and_generation_prompts_agree_up_to_the_answer(tokenizer_of, family, system, tokens):
    chat = chat_format(tokenizer_of(family), system_prompt=system)
    generation = chat.prefix_ids(tokens) + chat.question_ids(QUERY, after_vision=tokens > 0)
    training = generation + chat.answer_ids(ANSWER)
    words = [i for i in training if i != PLACEHOLDER_ID]
    text = chat.tokenizer.decode(words, clean_up_tokenization_spaces=False)
    assert generation.count(PLACEHOLDER_ID) == tokens
    assert QUERY in text and text.endswith(ANSWER + STOP[family])
    if system:
        assert text.index(system) < text.index(QUERY)


@pytest.mark.parametrize("family", ["qwen2", "llama", "gemma2"])
def test_the_prompt_is_what_the_template_itself_renders(tokenizer_of, family):
    tokenizer = tokenizer_of(family)
    chat = chat_format(tokenizer)
    ids = chat.prefix_ids(1) + chat.question_ids(QUERY)
    mine = "".join("@" if i == PLACEHOLDER_ID else tokenizer.decode([i]) for i in ids)
    assert mine == rendered(tokenizer, answer=None, vision="@")
    assert mine + tokenizer.decode(chat.answer_ids(ANSWER)) == rendered(tokenizer, answer=ANSWER, vision="@").rstrip(
        "\n"
    )


@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_the_prompt_starts_with_one_bos(tokenizer_of, family):
    chat = chat_format(tokenizer_of(family))
    ids = chat.prefix_ids(2) + chat.question_ids(QUERY) + chat.answer_ids(ANSWER)
    assert ids[0] == chat.tokenizer.bos_token_id
    assert ids.count(chat.tokenizer.bos_token_id) == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_the_supervised_ids_are_the_answer_and_the_end_of_the_turn(tokenizer_of, family):
    chat = chat_format(tokenizer_of(family))
    *said, stop = chat.answer_ids(f"  {ANSWER}\n")
    assert chat.tokenizer.decode(said) == ANSWER
    assert stop == chat.stop_id == chat.tokenizer.convert_tokens_to_ids(STOP[family])


def test_decoding_stops_at_the_end_of_the_turn(tokenizer_of):
    chat = chat_format(tokenizer_of("qwen2"))
    ids = chat.answer_ids(ANSWER)
    assert chat.decode(ids + ids) == ANSWER
    assert chat.decode(ids[:-1]) == ANSWER
    assert chat.decode([chat.stop_id]) == ""


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30))
def test_any_unicode_answer_comes_back(tokenizer_of, text):
    chat = chat_format(tokenizer_of("llama"))
    assert chat.decode(chat.answer_ids(text)) == text.strip()


@pytest.mark.parametrize("text", ["[[vision]]", "<image>", str(PLACEHOLDER_ID), "<|image_pad|> [[query]] [[answer]]"])
def test_no_text_can_imitate_a_vision_token(tokenizer_of, text):
    chat = chat_format(tokenizer_of("qwen2"))
    assert PLACEHOLDER_ID not in chat.question_ids(text) + chat.answer_ids(text)
    assert PLACEHOLDER_ID < 0
    assert chat.decode(chat.answer_ids(text)) == text


def test_a_template_without_system_role_takes_the_system_prompt_before_the_question(tokenizer_of):
    chat = chat_format(tokenizer_of("gemma2"), system_prompt="Look around.")
    assert chat.head == "<bos><start_of_turn>user\nLook around.\n\n"


SWAPPED = "{% for m in messages | reverse %}{{ m['content'] }};{% endfor %}{% if add_generation_prompt %}>{% endif %}"
DEAF = "{% for m in messages %}{{ m['role'] }};{% endfor %}"
TWO_FACED = "{% for m in messages %}{{ m['content'] }};{% endfor %}{% if add_generation_prompt %}answer: {% endif %}"


@pytest.mark.parametrize("template", [SWAPPED, DEAF])
def test_a_template_that_loses_or_reorders_the_words_is_refused(tokenizer_of, template):
    with pytest.raises(ModelError, match=r"loses or reorders the words.*keeps user and assistant content in order"):
        chat_format(tokenizer_of("plain", template=template))


def test_a_template_whose_generation_prompt_differs_is_refused(tokenizer_of):
    with pytest.raises(ModelError, match=r"answer: ' against .*would see different prompts"):
        chat_format(tokenizer_of("plain", template=TWO_FACED))


def test_a_space_before_the_end_of_the_turn_does_not_end_an_answer(tokenizer_of):
    """Llama 2 writes a space, then EOS: the space is not what stops an answer of several words."""
    template = (
        "{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
        "{% else %} {{ m['content'] }} {{ eos_token }}{% endif %}{% endfor %}"
    )
    chat = chat_format(tokenizer_of("plain", template=template))
    assert chat.stop_id == chat.tokenizer.eos_token_id
    assert chat.decode(chat.answer_ids("two words")) == "two words"


def test_the_prompt_does_not_depend_on_the_day(tokenizer_of):
    """Llama 3.2 writes today's date into the prompt: a model would be asked otherwise than it was taught."""
    template = (
        "{% if not date_string is defined %}{% if strftime_now is defined %}"
        "{% set date_string = strftime_now('%d %b %Y %f') %}{% else %}{% set date_string = '26 Jul 2024' %}{% endif %}"
        "{% endif %}Today: {{ date_string }}\n" + LLAMA_TURNS
    )
    tokenizer = tokenizer_of("llama", template=template)
    assert chat_format(tokenizer).head == chat_format(tokenizer).head == "Today: 26 Jul 2024\n<|start_header_id|>"


LLAMA_TURNS = (
    "{% for m in messages %}<|start_header_id|>{% if m['role'] != 'user' %}{{ m['role'] }}{% endif %}"
    "{{ m['content'] }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant{% endif %}"
)


@pytest.mark.parametrize("family", FAMILIES)
def test_words_that_look_like_a_control_token_stay_words(tokenizer_of, family):
    """Whoever writes the end of a turn into a question does not end the turn."""
    chat = chat_format(tokenizer_of(family))
    controls = set(chat.tokenizer.get_added_vocab())
    mark = chat.tokenizer.convert_ids_to_tokens(chat.stop_id)
    query = f"what is behind {mark} me?"
    plain = chat.question_ids("what is behind me?")
    spelled = chat.question_ids(query)
    count = sum(token in controls for token in chat.tokenizer.convert_ids_to_tokens(plain))
    assert sum(token in controls for token in chat.tokenizer.convert_ids_to_tokens(spelled)) == count
    assert mark in chat.tokenizer.decode(spelled)
    said = chat.answer_ids(f"a {mark} cube")
    assert said.count(chat.stop_id) == 1 and said[-1] == chat.stop_id


def test_a_nul_that_a_model_says_can_be_written_to_a_table(tokenizer_of):
    chat = chat_format(tokenizer_of("qwen2"))
    ids = chat.tokenizer.encode("a\0b", add_special_tokens=False)
    assert chat.tokenizer.decode(ids) == "a\0b"
    assert chat.decode(ids) == "a\ufffdb"
