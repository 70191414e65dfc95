"""Opik's private REST API as its SDK uses it, one module per kind of entity.

Source: the generated client in the SDK (`opik.rest_api`), version 2.2.122. Answers hold the fields that the SDK reads.
"""
