"""Answers behind prefixes whose keys are kept once."""

import torch

from panollava.models.decode import decode


def sliding(zoo):
    """Return a language model whose second layer sees the last four positions only."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from panollava.models.attention import PACKED, register
    from panollava.models.language import LanguageModel

    register()
    torch.manual_seed(5)
    config = Qwen2Config(
        vocab_size=320, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=32, initializer_range=0.2, use_sliding_window=True, sliding_window=4,
        max_window_layers=1, attn_implementation=PACKED,
    )  # fmt: skip
    assert config.layer_types == ["full_attention", "sliding_attention"]
    return LanguageModel(Qwen2ForCausalLM(config).eval())


@torch.no_grad()
def test_sliding_layers_see_as_far_in_training_as_in_answers_and_as_hugging_face(zoo):
    from panollava.data.pack import PackedText

    reader = sliding(zoo)
    torch.manual_seed(0)
    prefixes = torch.randn(1, 7, 64)
    questions = [(0, [5, 6, 7]), (0, [8, 9, 10, 11])]
    said = decode(reader, prefixes, questions, stop_id=-1, max_new_tokens=6, batch_size=2)
    for (_, ids), answer in zip(questions, said, strict=True):
        words = torch.cat([prefixes, reader.embed(torch.tensor([ids]))], dim=1)
        alone = reader.model.generate(
            inputs_embeds=words, max_new_tokens=6, do_sample=False, pad_token_id=0, eos_token_id=[-1]
        )
        assert answer == alone[0].tolist()
        every = torch.tensor([[0] * 7 + ids + answer])
        segments = torch.tensor([[0] * 7 + [1] * (len(ids) + 6)])
        text = PackedText(every, every, torch.arange(every.shape[1])[None], segments)
        embedded = torch.cat([prefixes, reader.embed(every[:, 7:])], dim=1)
        for name in ("panollava_packed", "sdpa"):
            reader.model.set_attn_implementation(name)
            logits = reader.head(reader.hidden_states(embedded, text)[0])
            assert logits[6 + len(ids) : -1].argmax(dim=-1).tolist() == answer
        reader.model.set_attn_implementation("panollava_packed")


@torch.no_grad()
def test_the_keys_of_a_prefix_are_kept_once(tiny_model, monkeypatch):
    from panollava.models import decode_attention

    model = tiny_model()
    made = []
    original = decode_attention.BranchReader._extended

    def watch(self, layer, k, v):
        held = original(self, layer, k, v)
        made.append((held[0].shape[2], {keys.shape[0] for keys, _ in self.prefixes.kept.values()}))
        return held

    monkeypatch.setattr(decode_attention.BranchReader, "_extended", watch)
    prefixes = model.language.embedding_rms() * torch.randn(2, 50, model.language.hidden_size)
    decode(model.language, prefixes, [(0, [5, 6])] * 9 + [(1, [7])], stop_id=-1, max_new_tokens=3, batch_size=10)
    assert {n for _, kept in made for n in kept} == {2}  # two prefixes, ten rows
    assert max(own for own, _ in made) == 2 + 2  # a row's own keys: question and answer but the last word
