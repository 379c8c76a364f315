# How every benchmark measures.
seeds = [0, 1, 2]

settings = dict(
    # By percentage of the labels: how often they are drawn, and passes over them. The
    # rate, at features of standard deviation 1, is the best one on the validation images.
    probe=dict(
        rates=[0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0],
        percentages={
            '1': dict(draws=3, epochs=100),
            '10': dict(draws=1, epochs=100),
            '100': dict(draws=1, epochs=20),
        },
    ),
    knn=dict(k=20),
)
