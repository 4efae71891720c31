"""The constructor parameters that estimators on a cluster have beside those of their local twins."""

from ldlrpp.estimators.borrowed import HasMethods
from ldlrpp.estimators.parameters import Parameter, _count, _of, _one_of

DASK = {
    "client": Parameter(
        None, [HasMethods(["submit", "compute"]), None], "distributed.Client or None, default=None",
        "The cluster; None for that of the current client, and where there is none for one in this process that lasts "
        "as long as the call. It is no part of pickles.",
    ),
    "sync": _one_of(
        "epoch", ("epoch", "step"),
        "What workers do together. With 'epoch' copies of the network train on partitions, and are combined between "
        "them: plain tasks of Dask's. With 'step' every step is one of all workers, of the gradients of all "
        "partitions, which workers keep in memory: steps of one machine with the same batches, which pay where these "
        "are large. "
        "It wants few partitions, some for every worker.",
    ),
    "n_replicas": _of(
        4, [_count()], "int",
        "How many copies of the network train at the same time, each on a partition of its own, before they are "
        "combined: more workers than that have nothing to do. The more, the fewer steps are taken one after the other "
        "in an epoch, at a learning rate that is √copies times as high. Results depend on it, and not on the number of "
        "workers.",
    ),
    "sync_steps": Parameter(
        None, [_count(), None], "int or None, default=None",
        "Copies are combined after so many steps; None for after every partition.",
    ),
    "collective": Parameter(
        None, [HasMethods(["begin", "joined"]), None], "class or None, default=None",
        "What adds up gradients over workers with ``sync='step'``, see `ldlrpp.dask.collectives`; None for that of the "
        "package xgboost.",
    ),
}  # fmt: skip
