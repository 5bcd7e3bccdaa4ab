"""A copy of a data root in which every picture has one size, as published detectors see it; to train one as published.

Names, folders and manifest stay, so that scores of both roots can be set side by side; pixels are stored without
loss. Resizing is bilinear with averaging where it reduces.

    python benchmarks/accuracy/resized_copy.py --data-root DIR --output COPY [--side 256]
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from PIL import Image as PilImage

from ganfingerprint.catalog import read_catalog
from ganfingerprint.decode import decode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--side", type=int, default=256)
    args = parser.parse_args()
    catalog = read_catalog(args.data_root)
    for number, sample in enumerate(catalog.samples):
        to = args.output / sample.path.relative_to(catalog.root)
        to.parent.mkdir(parents=True, exist_ok=True)
        picture = PilImage.fromarray(decode(sample.path).pixels)
        # the suffix stays that of the original; whoever decodes looks at the bytes
        picture.resize((args.side, args.side), PilImage.Resampling.BILINEAR).save(to, "PNG", compress_level=1)
        if number % 1000 == 0:
            print(f"{number} of {len(catalog.samples)}", flush=True)
    if (catalog.root / "manifest.csv").is_file():
        shutil.copy2(catalog.root / "manifest.csv", args.output / "manifest.csv")


if __name__ == "__main__":
    main()
