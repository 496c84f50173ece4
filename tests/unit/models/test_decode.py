"""Answers decoded behind a shared prefix are those of Hugging Face's own greedy search, row by row."""

import pytest
import torch

from panollava.models.decode import decode


@pytest.mark.parametrize("language", ["qwen2", "qwen3", "llama", "smollm3", "gemma2", "gemma3"])
def test_greedy_equals_hugging_face_greedy_search(language, tiny_model):
    model = tiny_model(language=language)
    reader, stop = model.language, model.chat.stop_id
    torch.manual_seed(0)
    prefixes = reader.embedding_rms() * torch.randn(2, 5, reader.hidden_size)
    questions = [(0, [5, 6, 7]), (1, [8]), (0, [9, 10, 11, 12, 13]), (1, [5, 6, 7])]
    said = decode(reader, prefixes, questions, stop_id=stop, max_new_tokens=6, batch_size=3)
    for (row, ids), answer in zip(questions, said, strict=True):
        words = torch.cat([prefixes[row : row + 1], reader.embed(torch.tensor([ids]))], dim=1)
        alone = reader.model.generate(
            inputs_embeds=words, max_new_tokens=6, do_sample=False, pad_token_id=stop, eos_token_id=stop
        )[0].tolist()
        assert answer == (alone[: alone.index(stop)] if stop in alone else alone)
    assert len({tuple(answer) for answer in said}) > 1  # panorama and question matter


def test_a_stop_token_ends_one_answer_and_not_the_others(tiny_model):
    model = tiny_model()
    reader = model.language
    torch.manual_seed(0)
    prefixes = reader.embedding_rms() * torch.randn(2, 5, reader.hidden_size)
    questions = [(0, [5, 6, 7]), (1, [8, 9])]
    free = decode(reader, prefixes, questions, stop_id=-1, max_new_tokens=5, batch_size=2)
    assert [len(answer) for answer in free] == [5, 5]
    stop = free[0][2]
    stopped = decode(reader, prefixes, questions, stop_id=stop, max_new_tokens=5, batch_size=2)
    for before, after in zip(free, stopped, strict=True):
        assert after == (before[: before.index(stop)] if stop in before else before)
