"""The evaluation pipeline: Lambdas that collect sampled answers, score them and send alerts."""
