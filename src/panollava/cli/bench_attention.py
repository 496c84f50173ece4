"""``panollava bench attention``: how quick the attention kernels of this machine are on packed panoramas."""

import argparse

DTYPES = ("float32", "bfloat16", "float16")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Measures every attention kernel on one batch of packed panoramas: forward and backward, milliseconds of the "
        "quickest round, memory above the inputs, and the distance to the dense mask in float32."
    )
    parser.add_argument("--device", help="cpu or cuda (default: cuda where there is one)")
    parser.add_argument("--dtype", choices=DTYPES, help="number type (default: float32 on a CPU, else bfloat16)")
    parser.add_argument("--panoramas", type=int, default=4, metavar="N", help="panoramas in the batch (default: 4)")
    parser.add_argument("--prefix", type=int, default=495, metavar="N", help="tokens of a prefix (default: 495)")
    parser.add_argument("--questions", type=int, default=4, metavar="N", help="most questions of one (default: 4)")
    parser.add_argument("--branch", type=int, default=50, metavar="N", help="tokens of a question and its answer (50)")
    parser.add_argument("--heads", type=int, default=14, metavar="N", help="query heads (default: 14)")
    parser.add_argument("--key-heads", type=int, default=2, metavar="N", help="key heads, a divisor of heads (2)")
    parser.add_argument("--head-dim", type=int, default=64, metavar="N", help="width of a head (default: 64)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds per kernel (default: 5)")


def run(args: argparse.Namespace) -> int:
    """Print one line per kernel."""
    import torch

    from panollava.models.attention_bench import BatchShape, measure_kernels

    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = args.dtype or ("float32" if device == "cpu" else "bfloat16")
    shape = BatchShape(
        panoramas=args.panoramas,
        prefix=args.prefix,
        questions=args.questions,
        branch=args.branch,
        heads=args.heads,
        key_heads=args.key_heads,
        head_dim=args.head_dim,
    )
    name = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"{device} ({name}), {dtype}, torch {torch.__version__}")
    print(f"{shape.panoramas} panoramas: {shape.tokens} tokens in {shape.padded} places of a padded batch")
    print(f"{'kernel':<20} {'forward':>10} {'backward':>10} {'memory':>10} {'distance':>9}")
    for row in measure_kernels(shape, device=device, dtype=getattr(torch, dtype), rounds=args.rounds):
        if row.reason:
            print(f"{row.kernel:<20} {row.reason}")
            continue
        memory = "" if row.memory_mib is None else f"{row.memory_mib:.0f} MiB"
        back = "forward only" if row.backward_ms is None else f"{row.backward_ms:.2f} ms"
        print(f"{row.kernel:<20} {row.forward_ms:7.2f} ms {back:>10} {memory:>10} {row.distance:9.1e}", flush=True)
    return 0
