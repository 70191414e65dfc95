"""`twin export`: scored answers as data sets for fine-tuning."""
