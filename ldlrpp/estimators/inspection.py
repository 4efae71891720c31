"""What a fitted network holds, as arrays and numbers; for everything that has a ``network_``."""

from sklearn.utils.validation import check_is_fitted

from ldlrpp.network import RPP


class Inspection:
    def layer_weights(self, layer):
        """The parameters of a layer.

        Parameters
        ----------
        layer : int
            Number of the layer: 0 is the first hidden one, -1 the dense output layer.

        Returns
        -------
        weights : dict of str to ndarray
            Copies of the arrays by name: 'weights', 'scale' and 'bias' of a butterfly (`ldlrpp.kernels.ldl_forward`),
            'hidden' and 'bias' of an RPP layer (`ldlrpp.kernels.rpp_forward`), 'weights' (n_outputs, n_inputs) and
            'bias' of a dense layer.
        """
        check_is_fitted(self)
        return {name: array.copy() for name, array in self.network_.layers[layer].parameters.items()}

    def to_dense(self, layer):
        """The dense layer that computes the same as a layer.

        Parameters
        ----------
        layer : int
            Number of the layer: 0 is the first hidden one, -1 the output layer.

        Returns
        -------
        matrix : ndarray of shape (n_inputs, n_outputs)
            The layer's weights as a matrix: ``x @ matrix + bias`` is its output before the activation, up to rounding.
        bias : ndarray of shape (n_outputs,)
            Its bias.
        """
        check_is_fitted(self)
        return self.network_.layers[layer].to_dense()


class Seeds:
    @property
    def seeds_(self):
        return [int(layer.seed) if isinstance(layer, RPP) else None for layer in self.network_.layers[:-1]]
