"""`edgekit choose`: which network, at which width and image size, meets the limits of a target best.

``candidates`` lists the networks and estimates what they take, ``probe`` exports them untrained and measures them on
the target, ``halving`` trains those that are left in rounds, and ``runner`` does all of it and ends with a study of the
finalists. Every training is a cell of a study, so that a search that was killed resumes where it stopped.
"""
