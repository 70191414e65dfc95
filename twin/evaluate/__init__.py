"""`twin evaluate`, `samples`, `export`: evaluations of answers, retrieval and judges, and what they work on."""
