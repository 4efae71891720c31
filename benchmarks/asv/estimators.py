"""Estimators: an epoch, predictions of many rows and of one, memory of a fit, and the score that is reached."""

import functools
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from ldlrpp import LDLClassifier, MixedClassifier, RPPClassifier

from .common import megabytes, of_profile, random

MODELS = {
    "LDL": lambda width, **options: LDLClassifier((width, width), **options),
    "RPP": lambda width, **options: RPPClassifier((width, width), n_permutations=64, **options),
    "dense": lambda width, **options: MixedClassifier([("dense", width)] * 2, **options),
    "mixed": lambda width, **options: MixedClassifier([("ldl", width), ("dense", 64)], **options),
}
WIDTHS = of_profile((256,), (256, 1024), (256, 1024, 4096))
ROWS = of_profile((2_000,), (2_000, 20_000), (2_000, 20_000))


@functools.cache
def trained(name, width, rows, device="cpu"):
    """A model after a step, and data."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y = random(rows, 784), np.arange(rows) % 10
    model = MODELS[name](width, random_state=0, device=device)
    return model.partial_fit(X[:400], y[:400], classes=np.arange(10)), X, y


class Estimator:
    """Two hidden layers of one width, 784 inputs, batches of 200; an epoch is one of `partial_fit`."""

    params = (tuple(MODELS), WIDTHS, ROWS)
    param_names = "model", "width", "rows"
    timeout = 600
    device = "cpu"

    def time_epoch(self, *case):
        model, X, y = trained(*case, self.device)
        model.partial_fit(X, y)

    def time_predict(self, *case):
        model, X, _ = trained(*case, self.device)
        model.predict(X)

    def time_predict_one_row(self, *case):
        model, X, _ = trained(*case, self.device)
        model.predict(X[:1])


class OnGpu(Estimator):
    """The same on a GPU, where there is one."""

    device = "cuda"

    def setup(self, *case):
        from ldlrpp.kernels import backend

        try:
            backend.cuda()
        except RuntimeError as error:
            raise NotImplementedError(str(error)) from None  # asv's word for what is skipped


class Digits:
    """Accuracy of test samples of scikit-learn's digits after 30 epochs, two hidden layers of 256."""

    params = tuple(MODELS)
    param_names = ("model",)
    unit = "accuracy"
    timeout = 300

    def track_accuracy(self, name):
        warnings.simplefilter("ignore", ConvergenceWarning)
        X, y = load_digits(return_X_y=True)
        X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
        model = MODELS[name](256, random_state=0, max_iter=30).fit(X_train, y_train)
        return model.score(X_test, y_test)


class Memory:
    """What a fit of 20,000 rows takes beside them, two layers of 1024."""

    params = ("LDLClassifier((1024, 1024))", "RPPClassifier((1024, 1024), n_permutations=64)")
    param_names = ("model",)
    unit = "MB"
    timeout = 300

    def track_fit(self, model):
        name = model.partition("(")[0]
        prepare = (
            f"import numpy as np\nfrom ldlrpp import {name}\n"
            "X, y = np.ones((20_000, 784), np.float32), np.arange(20_000) % 10\n"
            f"model = {model}.set_params(max_iter=1, random_state=0).fit(X[:400], y[:400])"
        )
        return megabytes(prepare, "model.fit(X, y)")
