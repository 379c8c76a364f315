# How a benchmark measures, unless its `settings` say otherwise.
zero_shot = dict()
# By percentage of the labels: how often they are drawn, and passes over them. The
# learning rate, at features of standard deviation 1, is the best one on the images for
# validation.
probe = dict(
    lrs=[0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0],
    percentages={
        '1': dict(draws=3, epochs=100),
        '10': dict(draws=1, epochs=100),
        '100': dict(draws=1, epochs=20),
    },
)
knn = dict(k=20)
# Options of the scenes, `tasks`, and dotted keys laid over their configs.
transfer = dict(scenes=dict(), options=dict())
