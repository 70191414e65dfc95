"""The surroundings of the guard's functions."""

from tests.lambda_surroundings import aws as aws
from tests.lambda_surroundings import base_environment as base_environment
from tests.lambda_surroundings import lambda_context as lambda_context
