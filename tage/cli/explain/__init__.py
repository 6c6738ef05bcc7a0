"""`tage explain`: what a request would meet, and why.

``plans``     files and xDS resources -> the sections of a plan
``mesh``      what a control plane sends, a running one or one of files alone
``arrivals``  where the request arrives
``sidecar``   a running sidecar's own answer, from its admin API
``text``      the answer for people

The answer is `tage.sidecar.explain`'s; here is only where the configuration comes from and how the answer is shown.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from tage.cli import output
from tage.cli.errors import CommandError
from tage.cli.options import Control, Format, OutputFormat
from tage.cli.runtime import find_control
from tage.sidecar.explain.apart import Question, QuestionError, header
from tage.sidecar.explain.findings import Explanation

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")


def explain(
    request: Annotated[
        list[str],
        typer.Argument(
            metavar="[METHOD] URL", help="A URL, PROTOCOL://SERVICE/METHOD, or a path with -H 'host: NAME'."
        ),
    ],
    headers: Annotated[
        list[str] | None, typer.Option("--header", "-H", metavar="NAME: VALUE", help="Repeatable.", show_default=False)
    ] = None,
    source: Annotated[
        str, typer.Option(metavar="IP", help="The client's address. Default: 127.0.0.1.", show_default=False)
    ] = "",
    listener: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Where it comes in: a listener's name, address:port or port.", show_default=False
        ),
    ] = "",
    sni: Annotated[
        str, typer.Option(metavar="NAME", help="The server name that the client asks for by TLS.", show_default=False)
    ] = "",
    draw: Annotated[bool, typer.Option("--draw", help="Draw one cluster by weight, as a request would.")] = False,
    files: Annotated[
        list[str] | None,
        typer.Option(
            "--filename",
            "-f",
            metavar="FILE",
            help="Resources laid over the mesh's; with a Mesh among them they stand for themselves. Repeatable.",
            show_default=False,
        ),
    ] = None,
    caller: Annotated[
        str,
        typer.Option(
            "--from", metavar="NAME", help="Whose request: a service or sidecar. Default: a client.", show_default=False
        ),
    ] = "",
    control: Control = "",
    bootstrap: Annotated[
        Path | None, typer.Option(metavar="FILE", help="By an Envoy v3 bootstrap, YAML or JSON.", show_default=False)
    ] = None,
    sidecar: Annotated[
        str,
        typer.Option(metavar="URL", help="By a running sidecar: its admin API's address.", show_default=False),
    ] = "",
    everything: Annotated[bool, typer.Option("--all", help="Show every rule and setting.")] = False,
    format: Format = OutputFormat.TABLE,
) -> None:
    """Show which listener, route, clusters and policies a request would meet, and why.

    Exit code 0: every such request gets an endpoint, or an answer that a rule gives; 1: some do not; 2: wrong usage.

    Without --bootstrap and --sidecar it is the configuration that the control plane has for the sidecar of --from. With
    -f it is what that would be if the files were applied; they are not.

    Example: tage explain http://reviews/ -H 'end-user: jason' --from productpage -f new-rule.yaml
    """
    try:
        question = _question(request, headers or [], source, listener, sni, draw)
        if bootstrap is None and not sidecar:
            answer = _of_mesh(question, files or [], caller, control)
        else:
            if files or caller or control or (bootstrap is not None and sidecar):
                raise QuestionError("say one of --bootstrap, --sidecar, and --from with -f and --control")
            answer = _of_sidecar(question, bootstrap, sidecar)
    except QuestionError as error:
        raise CommandError(str(error), 2) from None
    if format is OutputFormat.JSON:
        print(output.json_text(answer))
    else:
        from tage.cli.explain import text

        text.show(answer, everything=everything)
    if not answer.served:
        raise typer.Exit(1)


def _question(request: list[str], headers: list[str], source: str, listener: str, sni: str, draw: bool) -> Question:
    if len(request) > 2:
        raise QuestionError(f"{' '.join(request)!r} is more than a method and a URL")
    method, target = request if len(request) == 2 else ("GET", request[0])
    if len(request) == 1 and target.upper() in METHODS:
        raise QuestionError(f"{target} what? say a URL, as `tage explain {target} http://reviews/`")
    if method.upper() in METHODS:
        method = method.upper()
    return Question(target, method, [header(text) for text in headers], source, listener, sni, draw)


def _of_sidecar(question: Question, bootstrap: Path | None, sidecar: str) -> Explanation:
    """By one sidecar's own configuration."""
    if bootstrap is None:
        from tage.cli.explain.sidecar import ask

        return ask(sidecar, question)
    from tage.cli.explain import plans
    from tage.sidecar.explain.trace import explain as trace

    return trace(plans.of_bootstrap(bootstrap), question)


def _of_mesh(question: Question, files: list[str], caller: str, control: str) -> Explanation:
    """By what a control plane sends, or would send. Files with a Mesh need none, unless one is named."""
    from tage.cli.explain import mesh
    from tage.cli.explain.arrivals import follow
    from tage.sidecar.explain.trace import explain as trace

    resources = mesh.load_files(files)
    alone = not control and any(resource.kind == "Mesh" for resource in resources)
    address = "" if alone else find_control(control)
    source = mesh.source(resources, address)
    config = source.caller(caller)
    answer = trace(config.sections, question)
    whose = ", ".join([*([f"control plane {address}"] if address else []), *files])
    scope = f"{config.sidecar}, by {whose}"
    return follow(msgspec.structs.replace(answer, scope=scope, notes=config.notes + answer.notes), source)
