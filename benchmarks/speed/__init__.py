"""Speed of the training step and the input pipeline, compared with alternatives."""
