"""Makes `data/raw/digits.zip`: the 1,797 handwritten digits that come inside scikit-learn.

    python workflow/scripts/digits.py data/raw/digits.zip

The archive holds `digits/<class>/<number>.png`, 8×8 grey. Nothing in it depends on when or where
it is made: fixed times, no compression. Source: E. Alpaydin and C. Kaynak, Optical Recognition of
Handwritten Digits, UCI Machine Learning Repository, 1998 (CC BY 4.0).
"""

import io
import sys
import zipfile

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def write(path: str) -> None:
    """Writes the archive to `path`; grey values 0–16 become 0–255."""
    digits = load_digits()
    with zipfile.ZipFile(path, "w") as archive:
        for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
            pixels = np.round(image * (255 / 16)).astype(np.uint8)
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "PNG", compress_level=0)
            entry = zipfile.ZipInfo(f"digits/{label}/{number:04d}.png", (1980, 1, 1, 0, 0, 0))
            archive.writestr(entry, file.getvalue())


if __name__ == "__main__":
    write(sys.argv[1])
