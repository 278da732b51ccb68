"""Draw the pictures of the front page and of the example on digits.

python docs/draw_front_page.py
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
import plot_dann_mnist_m as demo

DOCS = Path(__file__).parent
PICTURES = {"source only": "source_only_features.png", "DANN": "dann_features.png"}


def main():
    """Fit both once, and draw the whole picture and the features of each by domain."""
    source, target = demo.load_domains()
    fits = {name: demo.fit(source, target, name) for name in demo.EPOCHS}
    demo.print_table(fits, source, target)
    demo.plot(fits, source, target).savefig(DOCS / "images" / "dann_mnist_m.png", dpi=110)
    for name, picture in PICTURES.items():
        figure, by_domain = plt.subplots(figsize=(4, 3.7), layout="constrained")
        by_digit = plt.figure().add_subplot()  # not shown
        demo.plot_features((by_domain, by_digit), fits[name][0], source, target, name)
        figure.savefig(DOCS / "images" / picture, dpi=200)


if __name__ == "__main__":
    main()
