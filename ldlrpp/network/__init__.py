"""Networks of LDL, RPP and dense layers: parameters, forward and backward, losses, optimisers, training.

Nothing here knows scikit-learn, nor which machine works: a network has a *backend* of kernels
(`ldlrpp.kernels.backend`), and what touches its arrays is a kernel of that, or what arrays of every library have, such
as slices and ``+=``. NumPy is for what comes before: initial parameters, the order of rows, what is dropped.

Activations are ``(batch, width)``, in C order, as the user's data are: nothing is transposed between layers.
"""

from ldlrpp.network.layers import LDL, RPP, Dense
from ldlrpp.network.losses import AbsoluteError, Huber, Logistic, Poisson, Softmax, SquaredError
from ldlrpp.network.network import Network
from ldlrpp.network.optimizers import SGD, Adam, Average
from ldlrpp.network.schedules import SCHEDULES, Schedule
from ldlrpp.network.training import Data, epochs, fit_lbfgs
from ldlrpp.network.warmup import warmup

__all__ = [
    "LDL",
    "RPP",
    "SCHEDULES",
    "SGD",
    "AbsoluteError",
    "Adam",
    "Average",
    "Data",
    "Dense",
    "Huber",
    "Logistic",
    "Network",
    "Poisson",
    "Schedule",
    "Softmax",
    "SquaredError",
    "epochs",
    "fit_lbfgs",
    "warmup",
]
