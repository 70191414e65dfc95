"""Quality metrics: judge-free ones are pure functions of texts, judged ones ask a model through Opik's interface."""
