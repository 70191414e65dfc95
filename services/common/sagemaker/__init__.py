"""Asynchronous client of chat models behind SageMaker real-time endpoints."""

from services.common.sagemaker.chat import ChatChunk, ChatStreamParser
from services.common.sagemaker.client import SageMakerChat
from services.common.sagemaker.errors import (
    SLEEPING,
    EndpointNotFound,
    EndpointUnavailable,
    EndpointUpdating,
    InvocationError,
    InvocationTimeout,
    ModelFailed,
    NoCapacity,
    StreamBroken,
    Throttled,
)

__all__ = [
    "SLEEPING",
    "ChatChunk",
    "ChatStreamParser",
    "EndpointNotFound",
    "EndpointUnavailable",
    "EndpointUpdating",
    "InvocationError",
    "InvocationTimeout",
    "ModelFailed",
    "NoCapacity",
    "SageMakerChat",
    "StreamBroken",
    "Throttled",
]
