"""Offline evaluation: a dataset's questions asked anew, judged, recorded and compared."""
