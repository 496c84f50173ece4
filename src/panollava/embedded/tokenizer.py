"""The embedded tokenizer: lower-cased byte-level BPE whose words are those of SurroundQA."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from panollava.data.synthetic.vocabulary import BEARING_STEP_DEG
from panollava.embedded.corpus import PRETRAIN_SEED, conversation, texts, training_scenes

VOCABULARY_SIZE = 768
CHAT_TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'user' %}<|user|>{{ m['content'] }}<|end|>"
    "{% elif m['role'] == 'assistant' %}<|assistant|>{{ m['content'] }}<|end|>"
    "{% else %}{{ m['content'] }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL_TOKENS = ("<|pad|>", "<|user|>", "<|assistant|>", "<|end|>")


def train_tokenizer(lines: Iterable[str], folder: Path) -> None:
    """Train the tokenizer and save it as a Hugging Face folder (tokenizer.json, config, chat template)."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        min_frequency=2,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=4096,
    )
    wrapped.save_pretrained(folder)


def corpus_lines(scenes: int) -> list[str]:
    """Return the text of ``scenes`` training scenes, and every bearing."""
    from panollava.data.synthetic.questions import QuestionSampler

    sampler = QuestionSampler(PRETRAIN_SEED)
    lines = [f"bearing {step:03d}" for step in range(0, 360, BEARING_STEP_DEG)] * 4
    for scene in islice(training_scenes(), scenes):
        lines += texts(scene)
        lines += [f"{q.question} {q.answer}" for q in conversation(sampler, scene, questions=24)]
    return lines
