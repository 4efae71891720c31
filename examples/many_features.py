"""Many sparse columns: which subpackage a paragraph of documentation is from, by its words hashed into 131,072 columns.

The text is what everyone has who has scikit-learn: the docstrings of SciPy's and scikit-learn's own sources. Names of
packages and subpackages are left out, paragraphs that repeat another but for numbers and signs are dropped, and a
function, or a class with its methods, is in the training or in the test part as a whole. Networks take the sparse
matrix and make one batch of rows dense at a time; boosted trees want all rows dense (5 GB) and get 100 components
instead.

Usage: python examples/many_features.py [--columns 131072] [--epochs 3] [--paragraphs 0]
"""

import argparse
import ast
import re
import time
import tracemalloc
import warnings
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from fashion_mnist_rpp import n_parameters
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GroupShuffleSplit
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from ldlrpp import LDLClassifier, MixedClassifier, RPPClassifier, warmup

PACKAGES = ("scipy", "sklearn")
NO_SUBJECT = ("_lib", "utils", "externals")
SHORTEST = 12  # words of a paragraph
FEWEST = 250  # paragraphs of a subpackage
# Networks' initial weights expect inputs of about 1, and tf-idf's rows have length 1. A narrow dense network after
# three epochs, validation: 0.851, 0.864 and 0.855 at 10, 30 and 100 times their length.
SCALE = np.float32(30)


def docstrings(package):
    """Subpackage, object and docstring of all that a package documents in Python; methods are of their class."""
    root = Path(find_spec(package).origin).parent
    for file in sorted(root.glob("*/**/*.py")):
        place = file.relative_to(root)
        if "tests" in place.parts or place.parts[0] in NO_SUBJECT:
            continue
        for top in ast.parse(file.read_text(encoding="utf-8")).body:
            for node in ast.walk(top):
                if isinstance(node, ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
                    yield f"{package}.{place.parts[0]}", f"{package}/{place}:{getattr(top, 'name', '')}", text


def paragraphs():
    """Texts, subpackages and objects; examples of code and subpackages with few paragraphs are left out."""
    rows = [row for package in PACKAGES for row in docstrings(package)]
    names = {name for label, _, _ in rows for name in re.findall(r"[a-z]{2,}", label)}
    kept = {}
    for label, source, text in rows:
        for paragraph in re.split(r"\n\s*\n", text):
            words = [word for word in re.findall(r"[a-z]{2,}", paragraph.lower()) if word not in names]
            if len(words) >= SHORTEST and ">>>" not in paragraph:
                kept.setdefault(" ".join(words), (label, source))
    counts = Counter(label for label, _ in kept.values())
    return zip(*((text, *row) for text, row in kept.items() if counts[row[0]] >= FEWEST), strict=True)


def hashed(n_columns, n_paragraphs):
    """Training and test rows of words and pairs of words, by tf-idf, and their labels."""
    texts, labels, sources = paragraphs()
    labels = np.array(labels)
    X = HashingVectorizer(ngram_range=(1, 2), n_features=n_columns, dtype=np.float32).transform(texts)
    train, test = next(GroupShuffleSplit(1, test_size=0.25, random_state=0).split(X, labels, sources))
    train, test = (np.random.default_rng(0).permutation(rows)[: n_paragraphs or None] for rows in (train, test))
    weighting = TfidfTransformer().fit(X[train])
    X = weighting.transform(X)
    return X[train], labels[train], X[test], labels[test]


def networks(n_columns, epochs):
    """Networks by name; they get longer rows."""
    common = {"max_iter": epochs, "random_state": 0}
    return {
        # as its output layer has two million weights, the 0.004 of the default is too much: 0.51 test accuracy
        f"LDL ({n_columns},), rate 0.001": LDLClassifier((n_columns,), learning_rate_init=0.001, **common),
        "LDL (1024,)": LDLClassifier((1024,), **common),
        "RPP (64,), k = 16": RPPClassifier((64,), n_permutations=16, **common),
        "RPP (64,), k = 64": RPPClassifier((64,), n_permutations=64, **common),
        "dense (64,)": MixedClassifier([("dense", 64)], **common),
        "MLPClassifier (64,)": MLPClassifier((64,), **common),
    }


def others():
    """Linear models and boosted trees, by name."""
    trees = make_pipeline(TruncatedSVD(100, random_state=0), HistGradientBoostingClassifier(random_state=0))
    return {
        "linear SVC": LinearSVC(),
        "logistic regression, C = 100": LogisticRegression(C=100),
        "logistic regression, SGD": SGDClassifier(loss="log_loss", random_state=0),
        "boosted trees, 100 components": trees,
    }


def measure(models, X_train, y_train, X_test, y_test):
    """Fit each, and print its row of the table."""
    for name, model in models.items():
        tracemalloc.start()  # counts what NumPy allocates, not what compiled libraries do for themselves
        start = time.perf_counter()
        model.fit(X_train, y_train)
        seconds, memory = time.perf_counter() - start, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        score, size = model.score(X_test, y_test), n_parameters(model)
        size = "–" if size is None else f"{size:,}"
        print(f"| {name} | {score:.3f} | {size} | {seconds:.1f} | {memory / 1e6:,.0f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--columns", type=int, default=2**17)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--paragraphs", type=int, default=0, help="of each part at most (default: all)")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # epochs are counted, not waited out

    X_train, y_train, X_test, y_test = hashed(options.columns, options.paragraphs)
    print(f"{len(y_train)} training and {len(y_test)} test paragraphs from {len(set(y_train))} subpackages, ", end="")
    print(f"{X_train.nnz / len(y_train):.0f} of {X_train.shape[1]:,} columns each\n")
    warmup(X_train.dtype)
    print("| model | test accuracy | parameters | s | memory of the fit MB |\n|---|---|---|---|---|")
    measure(networks(options.columns, options.epochs), SCALE * X_train, y_train, SCALE * X_test, y_test)
    measure(others(), X_train, y_train, X_test, y_test)


if __name__ == "__main__":
    main()
