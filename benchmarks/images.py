"""Decode JPEG panoramas with panollava, Pillow and OpenCV: ``python benchmarks/images.py [JPEG]``.

Every width is measured in one process per method: the least CPU time of several calls, and the growth of the peak
memory over that of a small file. Without a file a smooth random picture is decoded; a photo says more.
"""

import io
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

WIDTHS = (2048, 4096, 8192)
ROUNDS = 7
Decode = Callable[[Path], np.ndarray]


def _pillow(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def _opencv(path: Path) -> np.ndarray:
    import cv2

    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def _ours(min_width: int | None) -> Decode:
    from panollava.data.images import open_panorama

    return lambda path: open_panorama(path, min_width=min_width)


METHODS: dict[str, Callable[[], Decode]] = {
    "Pillow": lambda: _pillow,
    "OpenCV": lambda: _opencv,
    "panollava": lambda: _ours(None),
    "panollava, at least 2048": lambda: _ours(2048),
    "panollava, at least 1024": lambda: _ours(1024),
}


def write(folder: Path, width: int, source: Image.Image) -> Path:
    """Write the picture at a width with a little noise, which interpolation would lack."""
    pixels = np.asarray(source.resize((width, width // 2), Image.Resampling.LANCZOS)).astype(np.float32)
    noisy = pixels + np.random.default_rng(0).normal(0, 4, pixels.shape)
    path = folder / f"{width}.jpg"
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(path, quality=90)
    return path


def _peak_kib() -> int:
    """Return this program's peak memory; ru_maxrss would count the one that started it. Linux only."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) if found else 0


def measure(method: str, path: Path, warm: Path) -> tuple[float, float]:
    """Return milliseconds of CPU and MiB of memory of one method in this process."""
    decode = METHODS[method]()
    decode(warm)
    before = _peak_kib()
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        decode(path)
        times.append(time.process_time() - start)
    return 1e3 * min(times), (_peak_kib() - before) / 1024


def main() -> None:
    """Print a table of milliseconds and MiB, with the ratio to Pillow."""
    if len(sys.argv) == 5 and sys.argv[1] == "--one":
        print(*measure(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])))
        return
    noise = np.random.default_rng(1).integers(0, 256, (64, 128, 3), dtype=np.uint8)
    data = Path(sys.argv[1]).read_bytes() if len(sys.argv) > 1 else b""
    source = Image.open(io.BytesIO(data)).convert("RGB") if data else Image.fromarray(noise)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        warm = write(folder, 256, source)
        for width in WIDTHS:
            path, base = write(folder, width, source), 0.0
            print(f"\n{width} x {width // 2}, {path.stat().st_size / 1e6:.1f} MB")
            for method in METHODS:
                words = [sys.executable, __file__, "--one", method, path, warm]
                done = subprocess.run(words, capture_output=True, text=True, check=True)
                ms, mib = map(float, done.stdout.split())
                base = base or ms
                print(f"  {method:26} {ms:7.1f} ms  {base / ms:4.1f}x  {mib:6.0f} MiB")


if __name__ == "__main__":
    main()
