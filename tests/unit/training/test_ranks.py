"""What several processes exchange is what one process would have computed."""

import torch

from panollava.training import ranks


def test_the_mean_of_all_gradients_is_that_of_one_process(monkeypatch):
    """Two processes, one after the other, with what the other would send put in by hand."""
    torch.manual_seed(0)
    rows, weight = torch.randn(6, 3, dtype=torch.float64), torch.randn(3, 3, dtype=torch.float64)

    def loss_of(found):
        return (found @ weight).pow(3).mean() + (found.T @ found).pow(2).sum()

    alone = rows.clone().requires_grad_()
    loss_of(alone).backward()
    places = {0: [0, 2], 1: [1]}  # panorama i is with process i mod 2; two rows each
    own = {n: torch.cat([rows[2 * i : 2 * i + 2] for i in held]).requires_grad_() for n, held in places.items()}
    monkeypatch.setattr(ranks.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(ranks.distributed, "get_world_size", lambda: 2)

    def all_gather(parts, mine):
        for n, part in enumerate(parts):
            part.copy_(torch.tensor([len(places[n])]) if mine.dtype == torch.int64 else padded(own[n].detach()))

    def padded(part):
        return torch.cat([part, part.new_zeros(4 - len(part), 3)]).view(2, 2, 3)

    monkeypatch.setattr(ranks.distributed, "all_gather", all_gather)
    for n in (0, 1):
        monkeypatch.setenv("RANK", str(n))
        everything = ranks.gathered(own[n], panoramas=len(places[n]), idle=False)
        assert torch.equal(everything, rows)
        loss_of(everything).backward()
    mean = torch.cat([own[0].grad[:2], own[1].grad, own[0].grad[2:]]) / 2
    torch.testing.assert_close(mean, alone.grad)
