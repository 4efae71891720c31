"""Learning rates that change while training goes on."""

import math

SCHEDULES = ("constant", "invscaling", "adaptive", "cosine", "onecycle")

# One cycle: the share of epochs in which the rate rises, and what part of the highest rate it starts and ends at.
_RISE, _FIRST, _LAST = 0.3, 1 / 25, 1e-4


class Schedule:
    """The learning rate at every moment of training.

    Parameters
    ----------
    kind : {'constant', 'invscaling', 'adaptive', 'cosine', 'onecycle'}
        'invscaling' divides the initial rate by (samples seen + 1)^power_t, epoch by epoch; 'adaptive' by 5 whenever
        `no_improvement` is called; 'cosine' takes it to zero along half a cosine over ``n_epochs``; 'onecycle' raises
        it from a 25th to the initial rate in the first three tenths of ``n_epochs`` and lets it fall to a
        ten-thousandth, along half a cosine each.
    initial : float
        The initial rate; for 'onecycle' the highest.
    power_t : float
        Exponent of 'invscaling'.
    n_epochs : int
        Number of epochs that 'cosine' and 'onecycle' take.

    Attributes
    ----------
    state : dict of str to number
        What there was of training: its epochs, its samples, and what 'adaptive' has divided the rate by.
    """

    def __init__(self, kind, initial, *, power_t=0.5, n_epochs=1):
        self.kind, self.initial, self.power_t, self.n_epochs = kind, initial, power_t, n_epochs
        self.state = {"n_epochs": 0, "n_samples": 0, "divisor": 1.0}

    def resume(self, state):
        """Go on from a copy of the ``state`` of another schedule, of whatever kind."""
        self.state = dict(state)

    def rate(self, part_of_epoch=0.0):
        """The rate after some part of the current epoch."""
        progress = min(1.0, (self.state["n_epochs"] + part_of_epoch) / self.n_epochs)
        if self.kind == "invscaling":
            return self.initial / (self.state["n_samples"] + 1) ** self.power_t
        if self.kind == "adaptive":
            return self.initial / self.state["divisor"]
        if self.kind == "cosine":
            return self.initial * _half_cosine(progress)
        if self.kind == "onecycle":
            if progress < _RISE:
                return self.initial * (_FIRST + (1 - _FIRST) * (1 - _half_cosine(progress / _RISE)))
            return self.initial * (_LAST + (1 - _LAST) * _half_cosine((progress - _RISE) / (1 - _RISE)))
        return self.initial

    @property
    def ends(self):
        """Whether the rate is made for ``n_epochs`` epochs: until then a loss that stands still says nothing."""
        return self.kind in ("cosine", "onecycle")

    @property
    def ended(self):
        """Whether the rate has come to its end, where it has one."""
        return self.ends and self.state["n_epochs"] >= self.n_epochs

    def end_epoch(self, n_samples):
        """Take note of an epoch of so many samples."""
        self.state["n_epochs"] += 1
        self.state["n_samples"] += n_samples

    def no_improvement(self):
        """Say that training does not get better: returns whether it may go on, at a lower rate."""
        if self.kind != "adaptive" or self.rate() <= 1e-6:
            return False
        self.state["divisor"] *= 5
        return True


def _half_cosine(progress):
    """From 1 to 0."""
    return 0.5 * (1 + math.cos(math.pi * progress))
