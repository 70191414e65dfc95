"""Which AWS actions a program calls, read from its source: clients that it makes and operations that it names."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import botocore.session
from botocore import xform_name

from .conftest import ROOT

OPERATIONS_BY_PATH = {
    "invocations": "sagemaker:InvokeEndpoint",
    "invocations-response-stream": "sagemaker:InvokeEndpointWithResponseStream",
}
"""Actions of requests that the service signs and sends without boto3, by the end of the path."""
ACTIONS = {
    "s3:ListObjectsV2": "s3:ListBucket",
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "lambda:Invoke": "lambda:InvokeFunction",
    "stepfunctions:StartExecution": "states:StartExecution",
}
"""Operations whose action is called otherwise."""
NAMESAKES = {"cloudwatch:GetDataset", "dynamodb:Query"}
"""Names that look like an operation and are methods of Opik's client, or an attribute of an answer."""


def actions_of(*modules: str) -> set[str]:
    """IAM actions that the modules, and every module of the project that they import, call."""
    trees = {module: tree for module in reachable(*modules) if (tree := _tree(module))}
    services = {name for tree in trees.values() for name in _clients(tree)}
    named = {name for tree in trees.values() for name in _names(tree)}
    found = {
        f"{service}:{operation}"
        for service in services
        for method, operation in _methods(service).items()
        if method in named
    }
    # Only the package that signs by itself names these paths.
    signers = {module.rpartition(".")[0] for module, tree in trees.items() if _signs(tree)}
    paths = {text for module, tree in trees.items() if module.rpartition(".")[0] in signers for text in _strings(tree)}
    found |= {action for path, action in OPERATIONS_BY_PATH.items() if path in paths}
    return {ACTIONS.get(action, action) for action in found - NAMESAKES}


def reachable(*modules: str) -> set[str]:
    """The modules, and every module of `services` that they import in turn, also inside functions."""
    found: set[str] = set()
    more = set(modules)
    while more:
        module = more.pop()
        if module in found or not _file(module):
            continue
        found.add(module)
        package = module.rpartition(".")[0]
        more |= {package} if package else set()
        for node in ast.walk(_tree(module) or ast.Module([], [])):
            if isinstance(node, ast.Import):
                more |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                more |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _file(module: str) -> Path | None:
    if not module.startswith("services"):
        return None
    base = ROOT.joinpath(*module.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


@cache
def _tree(module: str) -> ast.Module | None:
    file = _file(module)
    return ast.parse(file.read_text()) if file else None


@cache
def _methods(service: str) -> dict[str, str]:
    model = botocore.session.get_session().get_service_model(service)
    return {xform_name(operation): operation for operation in model.operation_names}


def _clients(tree: ast.Module) -> set[str]:
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {
        str(call.args[0].value)
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == "client" and call.args
        if isinstance(call.args[0], ast.Constant)
    }


def _names(tree: ast.Module) -> set[str]:
    """Methods that are called or handed over, and paginated operations by name."""
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args)
    paginated = {
        str(call.args[0].value)
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == "get_paginator"
        if isinstance(call.args[0], ast.Constant)
    }
    return attributes | paginated


def _signs(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "SigV4Auth" for node in ast.walk(tree))


def _strings(tree: ast.Module) -> set[str]:
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
