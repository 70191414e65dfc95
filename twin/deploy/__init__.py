"""`twin synth`, `deploy`: the CDK command line, and the explanation of what failed."""
