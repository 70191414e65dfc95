"""Registration of our services and CloudFormation resource types in MiniStack.

MiniStack 1.5.33 has no public way to add either, so this module writes into its private tables: the router and the
state map for services, the provisioners' tables for resource types. AWS has a service API and a resource type for
everything that is registered here. An entry can go when MiniStack brings that service or type itself:
`register_resource_types` already leaves out a type that MiniStack has. The whole module can go when MiniStack has a
plugin interface.
"""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ministack import app
from ministack.core import router
from ministack.core.responses import AccountRegionScopedDict, error_response_json, json_response
from ministack.services.cloudformation import provisioners, stacks

CONTENT_TYPE = "application/x-amz-json-1.1"

Properties = dict[str, Any]
Created = tuple[str, dict[str, Any]]
"""Physical id (what Ref returns) and attributes (what GetAtt returns)."""


class ServiceError(Exception):
    """An error as the AWS API answers it: HTTP 400 with `code` as its type and the message as its text."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class JsonService:
    """A service of the awsJson1.1 protocol: each operation is a function from request to response, both JSON objects.

    Attributes:
        name: the service's name in MiniStack, and the first part of its host name.
        target_prefix: what its `X-Amz-Target` header begins with, dot included.
        stores: state by store name.
    """

    name: str
    target_prefix: str

    def __init__(self) -> None:
        self.stores: dict[str, AccountRegionScopedDict] = {}

    def store(self, name: str) -> Any:
        """A dictionary scoped to the caller's account and region, kept when the emulator persists its state."""
        return self.stores.setdefault(name, AccountRegionScopedDict())

    def operations(self) -> Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        """Functions by operation name, as in the `X-Amz-Target` header after the dot."""
        raise NotImplementedError  # every service is a subclass

    async def handle_request(self, method: str, path: str, headers: Any, body: bytes, query_params: Any) -> Any:
        """Answer one request; MiniStack's entry point of a service.

        An unknown operation is answered as UnknownOperationException, a `ServiceError` by its code, both with status
        400.
        """
        target = headers.get("x-amz-target") or headers.get("X-Amz-Target") or ""
        operation = self.operations().get(target.rpartition(".")[2])
        if operation is None:
            return error_response_json("UnknownOperationException", f"{target} is not known here.", 400)
        try:
            return json_response(operation(json.loads(body or b"{}")), content_type=CONTENT_TYPE)
        except ServiceError as error:
            return error_response_json(error.code, str(error), 400)

    def reset(self) -> None:
        """Drop all state, of every account and region; MiniStack's reset endpoint calls it."""
        for store in self.stores.values():
            store.clear()

    def get_state(self) -> dict[str, Any]:
        """State by store name, for MiniStack to persist when it stops."""
        return dict(self.stores)

    def restore(self, state: Mapping[str, Any] | None) -> None:
        """Take over what `get_state` gave before a restart, as scoped dictionaries or as plain ones read from JSON."""
        for name, value in (state or {}).items():
            scoped = value if isinstance(value, AccountRegionScopedDict) else AccountRegionScopedDict.from_dict(value)
            self.store(name)._data.update(scoped._data)


_REGISTERED: dict[str, JsonService] = {}


def registered(name: str) -> JsonService:
    """The service that was registered under this name, for who looks at its state from inside the emulator."""
    return _REGISTERED[name]


def register_service(service: JsonService) -> None:
    """Make MiniStack route, reset and persist `service` as one of its own.

    MiniStack 1.5.33 looks a service up by module name in `SERVICE_REGISTRY`, `_state_map` and the router's patterns, so
    the service is put there behind a module that exists in memory only.
    """
    _REGISTERED[service.name] = service
    module_name = service.name.replace("-", "_")
    module: Any = types.ModuleType(f"ministack.services.{module_name}")
    module.handle_request = service.handle_request
    module.reset = service.reset
    module.get_state = service.get_state
    module.load_persisted_state = module._restore_state = service.restore
    sys.modules[module.__name__] = module
    app.SERVICE_REGISTRY[service.name] = {"module": module_name}
    app.SERVICE_HANDLERS[service.name] = app._lazy_handler(module_name)
    app._state_map[module_name] = module_name
    host = service.name.replace("-", r"\-") + r"\."
    router.SERVICE_PATTERNS[service.name] = {"target_prefixes": [service.target_prefix], "host_patterns": [host]}


@dataclass(frozen=True)
class ResourceType:
    """One CloudFormation resource type.

    Attributes:
        create: (logical id, properties, stack name) to physical id and attributes.
        delete: (physical id, properties); succeeds for a resource that does not exist.
        update: (physical id, old properties, new properties) to physical id and attributes, in place.
        immutable: properties whose change replaces, as the type's public schema lists them; `Outer/Inner` is a property
            inside another.
        name: the property that names the resource. CloudFormation refuses to replace what keeps such a name.
    """

    create: Callable[[str, Properties, str], Created]
    delete: Callable[[str, Properties], None]
    update: Callable[[str, Properties, Properties], Created]
    immutable: tuple[str, ...]
    name: str | None = None

    def handlers(self, name: str) -> dict[str, Any]:
        """MiniStack's table entry of the type called `name`."""
        inner = [path for path in self.immutable if "/" in path]

        def update(physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str = "") -> Created:
            """Physical id and attributes after an update in place, or after a replacement for a changed inner property.

            MiniStack 1.5.33 replaces for changed top-level properties only; CloudFormation does so for nested ones,
            too.
            """
            if any(_inside(old, path) != _inside(new, path) for path in inner):
                created: Created = provisioners._replace_resource(name, physical_id, old, new, stack, logical_id)
                return created
            return self.update(physical_id, old, new)

        return {"create": self.create, "delete": self.delete, "update": update, "update_with_logical_id": True}


def _inside(properties: Properties, path: str) -> Any:
    value: Any = properties
    for key in path.split("/"):
        value = (value or {}).get(key)
    return value


def physical_name(stack: str, logical_id: str, longest: int = 63) -> str:
    """A name as CloudFormation generates it, of at most `longest` characters; a replacement gets another one."""
    return str(provisioners._physical_name(stack, logical_id, max_len=longest))


def register_resource_types(types_by_name: Mapping[str, ResourceType]) -> list[str]:
    """Add the types that MiniStack does not have; returns their names.

    MiniStack 1.5.33 provisions most types on its event loop, where a type that calls the emulator's own API would wait
    for itself, so the added types are run on worker threads.
    """
    missing = [name for name in types_by_name if name not in provisioners._RESOURCE_HANDLERS]
    for name in missing:
        resource_type = types_by_name[name]
        provisioners._RESOURCE_HANDLERS[name] = resource_type.handlers(name)
        provisioners._REPLACING_PROPERTIES[name] = tuple(path for path in resource_type.immutable if "/" not in path)
        if resource_type.name is not None:
            provisioners._CUSTOM_NAME_REPLACEMENT[name] = {"name": resource_type.name}
    run_on_worker_thread(missing)
    return missing


def run_on_worker_thread(names: Collection[str]) -> None:
    """Provision the resource types `names`, which block, on a worker thread."""
    runs_on_worker = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda name: name in names or runs_on_worker(name)
