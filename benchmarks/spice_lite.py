"""What spice_lite says about captions of COCO val2014, and how fast: python benchmarks/spice_lite.py [IMAGES].

Needs the extras spice (its package holds the captions) and spice-lite. For each image its first caption is scored
against the others, then the caption of the next image in its place, then each caption against itself.
"""

import collections
import json
import sys
import time
import zipfile

import numpy as np

from panollava.metrics.spice import program_jar
from panollava.metrics.spice_lite import parser_signature, spice_lite


def main(images: int) -> None:
    with zipfile.ZipFile(program_jar()) as jar:
        annotations = json.loads(jar.read("coco/annotations/captions_val2014.json"))["annotations"]
    captions = collections.defaultdict(list)
    for entry in annotations:
        captions[entry["image_id"]].append(entry["caption"])
    groups = [captions[image] for image in sorted(captions)[:images]]
    first, others = [group[0] for group in groups], [group[1:] for group in groups]
    start = time.process_time()
    own = spice_lite(first, others)
    seconds = time.process_time() - start
    count = sum(map(len, groups))
    wrong = spice_lite([*first[1:], first[0]], others)
    print(f"{len(groups)} images of COCO val2014, {count} captions, {parser_signature()}")
    print(f"{count / seconds:.0f} captions/s of CPU time, loading the parser included")
    print(f"first caption against the others   {own.mean():.4f}, largest {own.max():.4f}")
    print(f"the next image's caption           {wrong.mean():.4f}")
    print(f"the right caption scores higher    {np.mean(own > wrong):.1%}")
    print(f"each caption against itself        {spice_lite(first, [[text] for text in first]).mean():.4f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
