"""A run's numbers for monitoring: one table of metrics, read from the counters, shown in three ways.

::

    catalogue   what there is: names, kinds, labels, help          pure
    samples     the values at a moment, from a run's counters      pure
    prometheus  a file for the node exporter, or an HTTP endpoint  extra `metrics`
    otel        OpenTelemetry's API                                extra `otel`
    publisher   keeps all of them up to date while a run works
"""
