"""`edgekit bench --tune`: the fastest setting for each file that gives the same predictions.

``candidates`` lists the settings of a runtime, ``search`` narrows them down by successive halving, ``confirmation``
measures the winner against the default in fresh processes, and ``session`` does all three for the files of a bench.
"""
