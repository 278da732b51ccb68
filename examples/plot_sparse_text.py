"""
Sparse text: from reviews of cameras to reviews of books
========================================================

A classifier of sentiment has read reviews of cameras and is to judge books. Some of the words that
matter are shared, like *great*; others it has never seen, like *gripping*. In unlabelled reviews of
books the new words stand beside the shared ones, and that is enough for DANN to learn what they
mean. The rows stay a sparse matrix throughout.
"""

import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse import eye_array
from sklearn.feature_extraction.text import TfidfVectorizer

from sktransfer import DANNClassifier

SEEDS = range(5)  # each decides the reviews and the training

# %%
# A small grammar writes the reviews: five phrases each, of a thing and what the writer found it to
# be. One in three phrases uses a shared word, the others one of the domain, and one in ten
# contradicts the verdict of the review.

FILLERS = "the a its this with very so quite".split()
SHARED = [
    "awful terrible disappointing bad poor".split(),
    "great wonderful excellent good lovely".split(),
]
CAMERAS = {
    "things": "lens battery zoom tripod sensor flash screen shutter menu strap".split(),
    "words": [
        "blurry grainy noisy flimsy sluggish".split(),
        "sharp crisp vivid sturdy fast".split(),
    ],
}
BOOKS = {
    "things": "plot chapter author ending prose novel dialogue story heroine style".split(),
    "words": [
        "dull predictable shallow rambling clumsy".split(),
        "gripping witty moving lyrical profound".split(),
    ],
}


def write_reviews(domain, n_reviews, generator):
    """Return reviews and whether each is positive."""
    positive = generator.integers(2, size=n_reviews)
    reviews = []
    for verdict in positive:
        words = []
        for _ in range(5):
            side = verdict if generator.random() < 0.9 else 1 - verdict
            found = SHARED if generator.random() < 1 / 3 else domain["words"]
            for choices in (FILLERS, domain["things"], FILLERS, found[side]):
                words.append(str(generator.choice(choices)))
        reviews.append(" ".join(words))
    return reviews, positive


generator = np.random.default_rng(0)
for domain in (CAMERAS, BOOKS):
    (review,), (verdict,) = write_reviews(domain, 1, generator)
    print(textwrap.fill(f"{['negative', 'positive'][verdict]}: {review}", 88))

# %%
# A vectorizer that knows cameras alone would drop the words of books, so it learns its vocabulary
# from the texts of both domains; no labels are needed for that. The matrices go to ``fit`` as they
# are, and become dense one batch at a time.

accuracy, judged = [], []
for seed in SEEDS:
    generator = np.random.default_rng(seed)
    source, ys = write_reviews(CAMERAS, 600, generator)
    target, _ = write_reviews(BOOKS, 600, generator)
    test, y_test = write_reviews(BOOKS, 600, generator)
    vectorizer = TfidfVectorizer().fit(source + target)
    Xs, Xt, X_test = (vectorizer.transform(texts) for texts in (source, target, test))
    dann = DANNClassifier(lambda_=0.3, max_epochs=30, random_state=seed).fit(Xs, ys, X_target=Xt)
    plain = DANNClassifier(lambda_=0.0, max_epochs=30, random_state=seed).fit(Xs, ys)
    accuracy.append([plain.score(X_test, y_test), dann.score(X_test, y_test)])
    # Each row of the identity matrix is a review of one word.
    words = eye_array(Xs.shape[1], format="csr")
    judged.append([clf.predict_proba(words)[:, 1] for clf in (plain, dann)])
    print(f"seed {seed}: books {accuracy[-1][0]:.3f}, adapted {accuracy[-1][1]:.3f}")
print("mean: books {:.3f}, adapted {:.3f}".format(*np.mean(accuracy, axis=0)))
print(f"the source: {type(Xs).__name__} of {Xs.shape}, {Xs.nnz / np.prod(Xs.shape):.0%} not zero")

# %%
# What each classifier makes of a review of a single word. The plain classifier can but guess at
# words that no review of cameras contains. DANN has them on the right side, if not as surely as the
# shared ones, and 99% of the reviews of books, where it was 85%.

vocabulary = vectorizer.vocabulary_
shown = [*BOOKS["words"][1], *SHARED[1], *SHARED[0], *BOOKS["words"][0]]
mean = np.mean(judged, axis=0)[:, [vocabulary[word] for word in shown]]

figure, ax = plt.subplots(figsize=(9, 6.5), layout="constrained")
rows = np.arange(len(shown))
ax.hlines(rows, *mean, color="0.8", lw=2, zorder=0)
ax.scatter(mean[0], rows, color="#0072B2", s=45, label="cameras only")
ax.scatter(mean[1], rows, color="#D55E00", s=55, marker="D", label="adapted to books")
ax.set_yticks(rows, shown)
for first, group in enumerate(
    ["books, positive", "both, positive", "both, negative", "books, negative"]
):
    ax.axhspan(5 * first - 0.5, 5 * first + 4.5, color="0.96" if first % 2 else "1", zorder=-1)
    ax.text(1.02, 5 * first + 2, group, transform=ax.get_yaxis_transform(), va="center")
ax.axvline(0.5, color="0.4", ls=":", lw=1)
ax.set(
    title=f"one word alone: how positive? (mean of {len(SEEDS)} seeds)",
    xlabel="probability of a positive review",
    xlim=(0, 1),
    ylim=(len(shown) - 0.5, -0.5),
)
ax.legend(loc="lower right", fontsize=10)

if "__file__" in globals():
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=110)
