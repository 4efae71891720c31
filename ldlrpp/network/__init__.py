"""Networks of LDL, RPP and dense layers: parameters, forward and backward, losses, optimisers, one training loop.

Nothing here knows scikit-learn. Activations are ``(batch, width)``, in C order, as the user's data are: nothing is
transposed between layers.
"""

from ldlrpp.network.layers import LDL, RPP, Dense
from ldlrpp.network.losses import Logistic, Softmax, SquaredError
from ldlrpp.network.network import Network
from ldlrpp.network.optimizers import SGD, Adam
from ldlrpp.network.training import epochs

__all__ = ["LDL", "RPP", "SGD", "Adam", "Dense", "Logistic", "Network", "Softmax", "SquaredError", "epochs"]
