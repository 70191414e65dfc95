"""`twin model`: staging of the model's files from the hub into a bucket."""
