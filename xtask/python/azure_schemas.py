"""Azure's management models as compact field tables, in the words of `xtask/src/schemas.rs`.

`azure_schemas.py OUT` writes `appcontainers.json`, `storage.json` and `privatedns.json` from the installed packages
azure-mgmt-appcontainers, azure-mgmt-storage and azure-mgmt-privatedns: their models are generated from the official
API definitions, and say of each field its name in JSON, its type, and whether only the server sets it.
"""

import datetime
import enum
import importlib
import importlib.metadata
import json
import pathlib
import re
import sys
import typing

# Which methods the simulator serves: the builder's name without `build_` and `_request`; request and answer.
SERVED = {
    "appcontainers": {
        "jobs_get": (None, "Job"),
        "jobs_create_or_update": ("Job", "Job"),
        "jobs_update": ("JobPatchProperties", "Job"),
        "jobs_delete": (None, None),
        "jobs_list_by_resource_group": (None, "[Job]"),
        "jobs_list_by_subscription": (None, "[Job]"),
        "jobs_list_secrets": (None, "JobSecretsCollection"),
        "jobs_start": ("JobExecutionTemplate", "JobExecutionBase"),
        "jobs_stop_execution": (None, None),
        "jobs_stop_multiple_executions": (None, "ContainerAppJobExecutions"),
        "jobs_executions_list": (None, "[JobExecution]"),
        "container_apps_api_job_execution": (None, "JobExecution"),
        "managed_environments_get": (None, "ManagedEnvironment"),
        "managed_environments_create_or_update": ("ManagedEnvironment", "ManagedEnvironment"),
        "managed_environments_delete": (None, None),
        "managed_environments_list_by_resource_group": (None, "[ManagedEnvironment]"),
        "managed_environments_list_by_subscription": (None, "[ManagedEnvironment]"),
        "managed_environments_storages_get": (None, "ManagedEnvironmentStorage"),
        "managed_environments_storages_create_or_update": ("ManagedEnvironmentStorage", "ManagedEnvironmentStorage"),
        "managed_environments_storages_delete": (None, None),
        "managed_environments_storages_list": (None, "ManagedEnvironmentStoragesCollection"),
        "container_apps_get": (None, "ContainerApp"),
        "container_apps_create_or_update": ("ContainerApp", "ContainerApp"),
        "container_apps_delete": (None, None),
        "container_apps_list_by_resource_group": (None, "[ContainerApp]"),
        "container_apps_list_by_subscription": (None, "[ContainerApp]"),
        "container_apps_start": (None, "ContainerApp"),
        "container_apps_stop": (None, "ContainerApp"),
        "container_apps_list_secrets": (None, "SecretsCollection"),
        "container_apps_revisions_list_revisions": (None, "[Revision]"),
        "container_apps_revisions_get_revision": (None, "Revision"),
        "container_apps_revision_replicas_list_replicas": (None, "ReplicaCollection"),
        "container_apps_revision_replicas_get_replica": (None, "Replica"),
    },
    "storage": {
        "storage_accounts_create": ("StorageAccountCreateParameters", "StorageAccount"),
        "storage_accounts_delete": (None, None),
        "storage_accounts_get_properties": (None, "StorageAccount"),
        "storage_accounts_list": (None, "[StorageAccount]"),
        "storage_accounts_list_by_resource_group": (None, "[StorageAccount]"),
        "storage_accounts_list_keys": (None, "StorageAccountListKeysResult"),
        "storage_accounts_regenerate_key": ("StorageAccountRegenerateKeyParameters", "StorageAccountListKeysResult"),
        "file_services_list": (None, "FileServiceItems"),
        "file_services_get_service_properties": (None, "FileServiceProperties"),
        "file_services_set_service_properties": ("FileServiceProperties", "FileServiceProperties"),
        "file_shares_create": ("FileShare", "FileShare"),
        "file_shares_update": ("FileShare", "FileShare"),
        "file_shares_get": (None, "FileShare"),
        "file_shares_delete": (None, None),
        "file_shares_list": (None, "[FileShareItem]"),
    },
    "privatedns": {
        "private_zones_create_or_update": ("PrivateZone", "PrivateZone"),
        "private_zones_update": ("PrivateZone", "PrivateZone"),
        "private_zones_delete": (None, None),
        "private_zones_get": (None, "PrivateZone"),
        "private_zones_list": (None, "[PrivateZone]"),
        "private_zones_list_by_resource_group": (None, "[PrivateZone]"),
        "virtual_network_links_create_or_update": ("VirtualNetworkLink", "VirtualNetworkLink"),
        "virtual_network_links_delete": (None, None),
        "virtual_network_links_get": (None, "VirtualNetworkLink"),
        "virtual_network_links_list": (None, "[VirtualNetworkLink]"),
        "record_sets_create_or_update": ("RecordSet", "RecordSet"),
        "record_sets_update": ("RecordSet", "RecordSet"),
        "record_sets_delete": (None, None),
        "record_sets_get": (None, "RecordSet"),
        "record_sets_list": (None, "[RecordSet]"),
        "record_sets_list_by_type": (None, "[RecordSet]"),
    },
}

SCALARS = {str: "string", int: "integer", float: "double", bool: "bool", datetime.datetime: "timestamp"}
SCALARS |= {bytes: "bytes", datetime.timedelta: "string", datetime.date: "date", datetime.time: "string"}


class Tables:
    """The tables of one package."""

    def __init__(self, name):
        package = f"azure.mgmt.{name}"
        self.models = importlib.import_module(f"{package}.models")
        self.version = importlib.metadata.version(f"azure-mgmt-{name}")
        folder = pathlib.Path(importlib.import_module(package).__file__).parent
        self.source = (folder / "operations" / "_operations.py").read_text()
        # Hints name each other as `_models.X` and `_types.X`.
        self.names = {"_models": self.models, **vars(typing), "datetime": datetime}
        self.schemas = {}

    def kind(self, hint):
        """The word for a type."""
        origin, args = typing.get_origin(hint), typing.get_args(hint)
        if origin is typing.Union:
            args = [arg for arg in args if arg is not type(None)]
            enums = [arg for arg in args if isinstance(arg, type) and issubclass(arg, enum.Enum)]
            return self.kind(enums[0] if enums else args[0])
        if origin is typing.Literal:
            return f"<{'|'.join(str(arg.value if isinstance(arg, enum.Enum) else arg) for arg in args)}>"
        if origin is list:
            return f"[{self.kind(args[0])}]"
        if origin is dict:
            return f"{{{self.kind(args[1])}}}"
        if hint is typing.Any or hint is object:
            return "any"
        if issubclass(hint, enum.Enum):
            return f"<{'|'.join(member.value for member in hint)}>"
        if hint in SCALARS:
            return SCALARS[hint]
        self.message(hint)
        return f"#{hint.__name__}"

    def message(self, model):
        """A model with all that it reaches."""
        if model.__name__ in self.schemas:
            return
        self.schemas[model.__name__] = fields = {}
        # A model may be instantiated once before its fields know their names.
        model({})
        for base in reversed(model.__mro__):
            hints = {}
            for attribute, hint in getattr(base, "__annotations__", {}).items():
                if attribute in getattr(model, "_attr_to_rest_field", {}):
                    hints[attribute] = eval(hint, self.names) if isinstance(hint, str) else hint
            for attribute, hint in hints.items():
                hint = self.resolved(hint)
                field = model._attr_to_rest_field[attribute]
                visibility = field._visibility or []
                word = self.kind(hint)
                if type(None) not in typing.get_args(hint) and visibility != ["read"]:
                    word += " req"
                if visibility == ["read"]:
                    word += " ro"
                fields[field._rest_name] = word

    def resolved(self, hint):
        """Forward references inside a type, as the classes they name."""
        if isinstance(hint, typing.ForwardRef):
            return eval(hint.__forward_arg__, self.names)
        if isinstance(hint, str):
            return eval(hint, self.names)
        args = typing.get_args(hint)
        if not args or typing.get_origin(hint) is typing.Literal:
            return hint
        args = tuple(self.resolved(arg) for arg in args)
        origin = typing.get_origin(hint)
        return typing.Union[args] if origin is typing.Union else origin[args if len(args) > 1 else args[0]]

    def method(self, name, request, response):
        """A method as its builder makes it."""
        found = re.search(rf"\ndef build_{name}_request\b(.*?)\n\n\n", self.source, re.DOTALL)
        if not found:
            raise SystemExit(f"there is no builder {name}")
        body = found.group(1)
        query = {}
        for parameter, kind, needed in re.findall(
            r'_params\["([^"]+)"\] = _SERIALIZER\.query\([^"]*"[^"]+", \w+, "(\w+)"(.*)', body
        ):
            query[parameter] = {"str": "string", "int": "integer", "bool": "bool"}[kind]
        query["api-version"] = "string req"
        version = re.search(r'_params\.pop\("api-version", "([^"]+)"\)', body).group(1)
        entry = {
            "http": re.search(r'method="(\w+)"', body).group(1),
            # Quotes that the template language left in some paths are no part of them.
            "path": re.search(r'_url = \(?\s*"([^"]+)"', body).group(1),
            "query": query,
        }
        for side, model in (("request", request), ("response", response)):
            if model:
                entry[side] = model
                self.message(getattr(self.models, model.strip("[]")))
        return version, entry

    def build(self, served):
        methods, versions = {}, set()
        for name, (request, response) in served.items():
            version, methods[name] = self.method(name, request, response)
            versions.add(version)
        assert len(versions) == 1, versions
        return {
            "methods": methods,
            "revision": self.version,
            "schemas": self.schemas,
            "version": versions.pop(),
        }


def layout(table):
    """One method or schema a line: a diff between releases is readable then."""
    parts = []
    for key in sorted(table):
        value = table[key]
        if isinstance(value, dict):
            lines = [f"  {json.dumps(name)}: {json.dumps(value[name], sort_keys=True, separators=(',', ':'))}" for name in sorted(value)]
            parts.append(f"{json.dumps(key)}: {{\n" + ",\n".join(lines) + "\n}")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for name, served in SERVED.items():
        table = Tables(name).build(served)
        (out / f"{name}.json").write_text(layout(table))
        print(f"{out / name}.json (azure-mgmt-{name} {table['revision']}, api-version {table['version']})")


main()
