"""Tiny models to compute scores with; their weights are the same everywhere, so that scores can be frozen."""

from pathlib import Path

_TEXT = "a photo depicts red blue sofa couch chair lamp dog cat on the by window door two big small room"
WORDS = _TEXT.split()


def fill(model) -> None:
    """Set every weight from NumPy's frozen generator: the same on every machine and with every version of torch."""
    import numpy as np
    import torch

    random = np.random.RandomState(7)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            values = (0.1 if weight.ndim == 1 else 0.4) * random.standard_normal(weight.numel())
            if "norm" in name.lower() and name.endswith("weight"):
                values += 1.0
            if "word_embeddings" in name or "token_embedding" in name:
                values *= 5.0
            weight.copy_(torch.from_numpy(values.reshape(tuple(weight.shape))))


def save_tokenizer(folder: Path, *, opening: str, closing: str) -> None:
    """Save a tokenizer of whole words that opens and closes a text with a token."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.normalizers import Lowercase
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", *WORDS, opening, closing])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = Lowercase(), Whitespace()
    ends = [(token, vocabulary[token]) for token in (opening, closing)]
    tokenizer.post_processor = TemplateProcessing(single=f"{opening} $A {closing}", special_tokens=ends)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token=opening,
        sep_token=closing,
        model_max_length=32,
    ).save_pretrained(folder)


def save_bert(folder: Path) -> Path:
    """Save a BERT of three blocks."""
    from transformers import BertConfig, BertModel

    size = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24}
    model = BertModel(BertConfig(vocab_size=len(WORDS) + 4, max_position_embeddings=32, **size))
    fill(model)
    model.save_pretrained(folder)
    save_tokenizer(folder, opening="[CLS]", closing="[SEP]")
    return folder


def save_clip(folder: Path) -> Path:
    """Save a CLIP for pictures of 16 px, with both towers."""
    from transformers import CLIPConfig, CLIPModel

    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    last = len(WORDS) + 3
    text = {
        **size,
        "vocab_size": last + 1,
        "max_position_embeddings": 12,
        "eos_token_id": last,
        "bos_token_id": last - 1,
    }
    model = CLIPModel(
        CLIPConfig(text_config=text, vision_config={**size, "image_size": 16, "patch_size": 8}, projection_dim=8)
    )
    fill(model)
    model.save_pretrained(folder)
    save_tokenizer(folder, opening="<|startoftext|>", closing="<|endoftext|>")
    return folder


def save_dino(folder: Path) -> Path:
    """Save a DINOv2 with a table of positions for pictures of 32 px."""
    from transformers import Dinov2Config, Dinov2Model

    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_ratio": 2}
    model = Dinov2Model(Dinov2Config(**size, image_size=32, patch_size=8))
    fill(model)
    model.save_pretrained(folder)
    return folder
