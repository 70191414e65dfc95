"""The evaluation pipeline: Lambdas that collect sampled answers, judge them, tell people, and end what expired."""
