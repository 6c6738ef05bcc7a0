"""`tage get`, `tage apply`, `tage delete`: the resources of a running control plane.

Files are read and validated here first, so that an error names the file, the line and the field; the control plane
validates again and takes all resources of one call or none.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from tage.cli import output
from tage.cli.client import ControlClient
from tage.cli.errors import CommandError
from tage.cli.options import Control, Format, OutputFormat, ResourceFormat, ResourceOutput
from tage.cli.runtime import find_control
from tage.config import dump, load
from tage.config.model import KINDS, Kind, Resource

DEFAULT_NAMESPACE = "default"

Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Only this namespace.")]
Files = Annotated[list[str] | None, typer.Option("--filename", "-f", metavar="FILE", help="YAML or JSON; - is stdin.")]


def get(
    kind: Annotated[str, typer.Argument(help="As virtualservice, virtualservices or vs. Default: all kinds.")] = "",
    name: Annotated[str, typer.Argument(help="Only this one.")] = "",
    namespace: Namespace = "",
    control: Control = "",
    format: ResourceOutput = ResourceFormat.TABLE,
) -> None:
    """Show resources of a running control plane.

    Without --namespace all namespaces are listed; a NAME is then looked for in `default`.

    Example: tage get vs reviews -o yaml
    """
    wanted = _kind(kind).name if kind else ""
    if name and not namespace:
        namespace = DEFAULT_NAMESPACE
    items = ControlClient(find_control(control)).resources(wanted, namespace, name)
    if name and not items:
        raise CommandError(f"no {wanted} {name} in namespace {namespace}; `tage get {kind}` lists what there is")
    if format is ResourceFormat.JSON:
        print(output.json_text(items[0] if name else {"items": items}))
    elif format is ResourceFormat.YAML:
        print(dump.dump_all(load.load_objects(items)), end="")
    elif items:
        print(_table(items))
    else:
        print("No resources.")


def apply(
    paths: Annotated[list[str] | None, typer.Argument(metavar="FILE..", help="The same as -f FILE.")] = None,
    files: Files = None,
    control: Control = "",
    format: Format = OutputFormat.TABLE,
) -> None:
    """Create or change resources, all of them or none.

    When it returns they are stored: they survive a restart of the control plane.

    Example: tage apply -f canary-50.yaml
    """
    resources = _load([*(files or ()), *(paths or ())])
    items = [dump.to_builtins(resource) for resource in resources]
    _print_results(ControlClient(find_control(control)).apply(items), format)


def delete(
    kind: Annotated[str, typer.Argument(help="As virtualservice, virtualservices or vs.")] = "",
    name: Annotated[str, typer.Argument()] = "",
    files: Files = None,
    namespace: Namespace = DEFAULT_NAMESPACE,
    control: Control = "",
    format: Format = OutputFormat.TABLE,
) -> None:
    """Delete resources: one by its kind and name, or all that stand in files.

    Example: tage delete vs reviews
    """
    if files:
        if kind or name:
            raise CommandError("either KIND NAME or -f FILE, not both", 2)
        keys = [resource.key for resource in _load(files)]
    elif kind and name:
        keys = [(_kind(kind).name, namespace, name)]
    else:
        raise CommandError("which one? Say KIND NAME, as `tage delete vs reviews`, or -f FILE", 2)
    client = ControlClient(find_control(control))
    results, missing = [], []
    for key in keys:
        if client.delete(*key):
            results.append(dict(zip(("kind", "namespace", "name"), key, strict=True)) | {"result": "deleted"})
        else:
            missing.append(key)
    _print_results(results, format)
    if missing:
        listed = ", ".join(f"{kind} {name} in namespace {namespace}" for kind, namespace, name in missing)
        raise CommandError(f"not there: {listed}; `tage get` lists what there is")


def _kind(word: str) -> Kind:
    """The kind that a user's word names: its name, plural or abbreviation in any case."""
    wanted = word.lower()
    for kind in KINDS.values():
        if wanted in (kind.name.lower(), kind.plural, kind.short):
            return kind
    known = ", ".join(f"{kind.plural} ({kind.short})" for kind in KINDS.values())
    raise CommandError(f"unknown kind {word!r}; there are {known}", 2)


def _load(paths: Sequence[str]) -> list[Resource]:
    if not paths:
        raise CommandError("which file? Say -f FILE, or -f - for stdin", 2)
    if paths.count("-") > 1:
        raise CommandError("stdin (-) can be read only once", 2)
    resources: list[Resource] = []
    for path in paths:
        resources += load.load_text(sys.stdin.read(), "<stdin>") if path == "-" else load.load_file(path)
    if not resources:
        raise CommandError(f"{', '.join(paths)}: no resource in it", 2)
    return resources


def _print_results(results: Sequence[dict[str, Any]], format: OutputFormat) -> None:
    if format is OutputFormat.JSON:
        print(output.json_text({"items": results}))
    else:
        for item in results:
            print(f"{item['kind']} {item['namespace']}/{item['name']} {item['result']}")


def _table(items: Sequence[dict[str, Any]]) -> str:
    rows = []
    for item in items:
        metadata = item.get("metadata", {})
        rows.append(
            (
                str(item.get("kind", "")),
                str(metadata.get("namespace", DEFAULT_NAMESPACE)),
                str(metadata.get("name", "")),
                _summary(item.get("spec", {})),
            )
        )
    return output.table(("KIND", "NAMESPACE", "NAME", "FOR"), sorted(rows))


def _summary(spec: dict[str, Any]) -> str:
    """What a resource speaks about: its hosts, its host, or the services of a mesh."""
    if "hosts" in spec:
        return ", ".join(map(str, spec["hosts"]))
    if "host" in spec:
        return str(spec["host"])
    return ", ".join(str(service.get("name", "")) for service in spec.get("services", ()))
