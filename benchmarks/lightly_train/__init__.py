"""LightlyTrain as a side of benchmarks.comparison.

:mod:`benchmarks.lightly_train.pretrain` is a program that runs in an environment of its
own, which has the package ``lightly-train`` (AGPL-3.0). Nothing else imports it.
"""
