"""Packed attention: dense attention under the branch mask, without its padding; the kernels see one rule."""

import pytest
import torch
from einops import rearrange

from panollava.data.pack import PackedText, branch_mask, near_mask, pack
from panollava.errors import ModelError
from panollava.models.attention import PackedAttention
from panollava.models.attention_kernels import CHOICES, available, choose_kernel, mask_rule, sequences
from panollava.models.language import load_language
from panollava.text.chat import chat_format

TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}
"""Float32 sums in another order."""
TALK = [
    [("what is behind you?", "the ball"), ("is there a cube?", "no"), ("where?", "front right of the cube")],
    [("what?", "a cube")],
    [("is there a red ball?", "yes"), ("where is it?", "left")],
]


def segments_of(*rows):
    """Return packed text of rows of segment numbers; positions restart behind the prefix in every branch."""
    width = max(map(len, rows))
    table, positions = [], []
    for row in rows:
        prefix = row.count(0)
        places = [i if s == 0 else prefix + row[:i].count(s) for i, s in enumerate(row)]
        table.append(row + [-1] * (width - len(row)))
        positions.append(places + [0] * (width - len(row)))
    fill = torch.zeros(len(rows), width, dtype=torch.long)
    return PackedText(fill, fill, torch.tensor(positions), torch.tensor(table))


TEXT = segments_of([0, 0, 0, 1, 1, 2, 2, 2, 3], [0, 0, 0, 1], [0, 0, 0, 1, 1, 2, 2])
EMPTY_PREFIX = segments_of([1, 1, 2, 2, 2], [1, 1, 1])


def dense(text, q, k, v, *, window=None):
    """Attend over the padded rows with the whole mask."""
    mask = branch_mask(text.segments)
    if window is not None:
        mask = mask & near_mask(text.positions, window=window)
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)


def streams(text, heads=4, groups=2, width=8):
    """Return random queries, keys and values as padded rows, and the same as a stream."""
    random = torch.Generator().manual_seed(0)
    b, t = text.segments.shape
    padded = [torch.randn(b, n, t, width, generator=random) for n in (heads, groups, groups)]
    packed = PackedAttention(text)
    flat = [rearrange(x, "b h t d -> (b t) h d")[packed.order].transpose(0, 1)[None] for x in padded]
    return packed, padded, flat


@pytest.mark.parametrize("text", [TEXT, EMPTY_PREFIX], ids=["prefixes", "no prefix"])
@pytest.mark.parametrize("window", [None, 2, 4, 100])
def test_packed_attention_is_dense_attention_under_the_branch_mask(text, window):
    packed, padded, flat = streams(text)
    for x in (*padded, *flat):
        x.requires_grad_(True)
    wanted = rearrange(dense(text, *padded, window=window), "b h t d -> (b t) h d")[packed.order]
    got = packed(*flat, scale=None, window=window)[0]
    torch.testing.assert_close(got, wanted, **TOLERANCE)
    weight = torch.randn_like(wanted)
    (wanted * weight).sum().backward()
    (got * weight).sum().backward()
    for x, y in zip(padded, flat, strict=True):
        whole = rearrange(x.grad, "b h t d -> (b t) h d")[packed.order].transpose(0, 1)[None]
        torch.testing.assert_close(y.grad, whole, **TOLERANCE)


@pytest.mark.parametrize("window", [None, 3])
def test_the_rule_of_single_tokens_is_the_mask(window):
    packed = PackedAttention(TEXT)
    n = len(packed.order)
    every = torch.arange(n)
    rule = mask_rule(packed, window)(torch.tensor(0), torch.tensor(0), every[:, None], every[None, :])
    assert torch.equal(rule, packed.allowed(every, every, window))
    mask = branch_mask(TEXT.segments)[:, 0]
    if window is not None:
        mask = mask & near_mask(TEXT.positions, window=window)[:, 0]
    rows, columns = packed.rows, packed.columns
    wanted = mask[rows[:, None], columns[:, None], columns[None, :]] & (rows[:, None] == rows[None, :])
    assert torch.equal(rule, wanted)


@pytest.mark.parametrize("text", [TEXT, EMPTY_PREFIX], ids=["prefixes", "no prefix"])
def test_sequences_of_a_varlen_kernel_give_the_same_attention(text):
    """A varlen kernel aligns its causal mask at the last key; here the same is done sequence by sequence."""
    packed, _, (q, k, v) = streams(text)
    keys, ends_q, ends_k, longest_q, longest_k = sequences(packed)
    out = torch.empty_like(q[0])
    for a, b, c, d in zip(ends_q, ends_q[1:], ends_k, ends_k[1:], strict=False):
        some = keys[c:d]
        seen = torch.ones(b - a, d - c, dtype=torch.bool).tril(int((d - c) - (b - a)))
        out[:, a:b] = torch.nn.functional.scaled_dot_product_attention(
            q[:, :, a:b], k[:, :, some], v[:, :, some], attn_mask=seen, enable_gqa=True
        )[0]
    torch.testing.assert_close(out.transpose(0, 1), packed(q, k, v, scale=None)[0], **TOLERANCE)
    assert longest_q == int(ends_q.diff().max()) and longest_k == int(ends_k.diff().max())
    assert int(ends_q[-1]) == len(packed.order) and int(ends_k[-1]) == len(keys)


def test_other_layouts_are_not_taken_for_packed_ones():
    assert PackedAttention.fits(TEXT) and PackedAttention.fits(EMPTY_PREFIX)
    assert not PackedAttention.fits(segments_of([0, 0, 1, 1], [0, 1, 1]))
    assert not PackedAttention.fits(segments_of([0, 1, 0, 1]))


@pytest.mark.parametrize("family", ["qwen2", "llama"])
def test_a_language_model_reads_packed_rows_as_with_the_dense_mask(zoo, family):
    """Loss and gradients of the packed path are those of Hugging Face's SDPA under the whole mask."""
    found = {}
    for way in ("packed", "dense"):
        language, tokenizer = load_language(zoo.language(family), dtype=torch.float32)
        if way == "dense":
            language.model.set_attn_implementation("sdpa")
        text = pack(chat_format(tokenizer), TALK, vision_tokens=0)
        embedded = language.embed(text.ids).detach().requires_grad_(True)
        logits, labels = language.supervised_logits(embedded, text)
        loss = torch.nn.functional.cross_entropy(logits, labels)
        loss.backward()
        grads = [p.grad for p in language.parameters() if p.grad is not None]
        found[way] = loss.detach(), embedded.grad, *grads
    assert len(found["packed"]) > 10
    for a, b in zip(found["packed"], found["dense"], strict=True):
        torch.testing.assert_close(a, b, **TOLERANCE)


def test_padding_is_not_computed(zoo, monkeypatch):
    language, tokenizer = load_language(zoo.language("qwen2"), dtype=torch.float32)
    text = pack(chat_format(tokenizer), TALK, vision_tokens=0)
    seen = []
    language.model.base_model.layers[0].mlp.register_forward_hook(lambda _m, args, _o: seen.append(args[0].shape))
    hidden = language.hidden_states(language.embed(text.ids), text)
    assert [tuple(shape[:2]) for shape in seen] == [(1, int((text.segments >= 0).sum()))]
    assert (hidden[text.segments < 0] == 0).all() and not (hidden[text.segments >= 0] == 0).any()


def test_auto_is_what_can_run_here():
    assert choose_kernel("auto", device="cpu", dtype=torch.float32) == "sdpa"
    assert choose_kernel("auto", device="cuda", dtype=torch.float32) == "sdpa"
    half = choose_kernel("auto", device="cuda", dtype=torch.bfloat16)
    assert half == ("varlen" if available("cuda", torch.bfloat16)["flash_attention_2"] else "flash_attention_2")
    assert set(available("cpu", torch.float32)) == set(CHOICES) - {"auto"}


def test_a_kernel_that_cannot_run_is_refused():
    with pytest.raises(ModelError, match=r"varlen, which needs a CUDA device\. Able here: eager, sdpa; or write auto"):
        choose_kernel("varlen", device="cpu", dtype=torch.bfloat16)
    with pytest.raises(ModelError, match="needs float16 or bfloat16, not float32"):
        choose_kernel("flash_attention_2", device="cuda", dtype=torch.float32)
    with pytest.raises(ModelError, match=r"unknown attention 'flash'"):
        choose_kernel("flash", device="cpu", dtype=torch.float32)


@pytest.mark.gpu
@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("kernel", ["varlen", "flex_attention", "flash_attention_2", "flash_attention_3"])
def test_a_gpu_kernel_gives_what_sdpa_gives(kernel, window):
    if reason := available("cuda", torch.bfloat16)[kernel]:
        pytest.skip(reason)
    text = PackedText(*(x.cuda() for x in (TEXT.ids, TEXT.labels, TEXT.positions, TEXT.segments)))
    _, padded, _ = streams(TEXT, heads=4, groups=2, width=64)
    packed = PackedAttention(text, kernel=kernel)
    flat = [rearrange(x.cuda().bfloat16(), "b h t d -> (b t) h d")[packed.order].transpose(0, 1)[None] for x in padded]
    wanted = PackedAttention(text)(*flat, scale=None, window=window)
    torch.testing.assert_close(packed(*flat, scale=None, window=window), wanted, rtol=2e-2, atol=2e-2)
