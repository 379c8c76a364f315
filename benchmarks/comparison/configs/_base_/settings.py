# Default evaluation settings; a benchmark's `settings` override them.
zero_shot = dict()
# By percentage of the labels: number of random draws, and epochs. The learning rate,
# for features with standard deviation 1, is the best one on the validation images.
probe = dict(
    lrs=[0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0],
    percentages={
        '1': dict(draws=3, epochs=100),
        '10': dict(draws=1, epochs=100),
        '100': dict(draws=1, epochs=20),
    },
)
knn = dict(k=20)
# Options of the scenes, `tasks`, and dotted keys that override their configs.
transfer = dict(scenes=dict(), options=dict())
