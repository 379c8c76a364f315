"""Speed of a training step and of the input path, each against an alternative."""
