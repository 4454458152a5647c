"""The commands about fairseg itself: `fairseg doctor` and `fairseg completion`."""

import json
import shutil
from typing import Any

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def doctor(as_json: bool) -> int:
    """Show what is installed, what is missing, and what there is to compute on."""
    from fairseg.cli.installation import describe  # noqa: PLC0415  (keep --help quick)

    about = describe()
    click.echo(json.dumps(about, indent=1) if as_json else "\n".join(_lines(about)))
    return 0


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print the script that lets a SHELL complete commands, options and files.

    For bash, add to ~/.bashrc:  eval "$(fairseg completion bash)"

    For zsh, add to ~/.zshrc:  eval "$(fairseg completion zsh)"

    For fish:  fairseg completion fish > ~/.config/fish/completions/fairseg.fish
    """
    script = get_completion_class(shell)
    if script is None:  # click knows all three
        raise ValueError(f"shell must be one of {', '.join(SHELLS)}, got {shell!r}")
    click.echo(script(context.find_root().command, {}, "fairseg", "_FAIRSEG_COMPLETE").source())
    return 0


def _lines(about: dict[str, Any]) -> list[str]:
    own, python = about["fairseg"], about["python"]
    lines = [
        f"fairseg   {own['version']}, in {own['place']}",
        f"python    {python['version']} ({python['implementation']}), {about['platform']}",
        *_compute(about),
    ]
    by_extra: dict[str | None, list[dict[str, Any]]] = {}
    for package in about["packages"]:
        by_extra.setdefault(package["extra"], []).append(package)
    for extra, packages in by_extra.items():
        lines += ["", _heading(extra, packages), *(_package(package) for package in packages)]
    variables = about["variables"]
    if any(state != "not set" for state in variables.values()):
        lines += ["", "nnU-Net's variables:", *(f"  {name:<22}{state}" for name, state in variables.items())]
    else:
        lines += ["", "nnU-Net's variables: none is set (only nnU-Net itself needs them)"]
    found = "found" if shutil.which("chromium") else "not found"
    lines.append(f"Chromium: {found} (only fairseg's own tests need it; any browser shows a report)")
    problems = about["problems"]
    lines += ["", *(f"PROBLEM: {problem}" for problem in problems)] if problems else ["", "No problem found."]
    return lines


def _compute(about: dict[str, Any]) -> list[str]:
    torch = about["torch"]
    if "error" in torch:
        return [f"device    unknown, torch cannot be loaded; {about['cores']} cores"]
    threads = f"torch uses {torch['threads']} of {about['cores']} cores"
    if not torch["devices"]:
        build = f"CUDA {torch['cuda']}" if torch["cuda"] else "the CPU"
        return [f"device    cpu (torch {torch['version']} is built for {build} and finds no GPU); {threads}"]
    cards = [f"{card['name']} {card['card']}, {card['memory_gib']} GiB" for card in torch["devices"]]
    return [f"device    {card} (CUDA {torch['cuda']})" for card in cards] + [f"threads   {threads}"]


def _heading(extra: str | None, packages: list[dict[str, Any]]) -> str:
    if extra is None:
        return "Packages:"
    missing = any(package["installed"] is None for package in packages)
    return f"Extra {extra}:" + (f" pip install 'fairseg[{extra}]' brings what is missing" if missing else "")


def _package(package: dict[str, Any]) -> str:
    found, wanted = package["installed"] or "missing", package["wanted"]
    wrong = "" if package["ok"] or package["installed"] is None else f"  outside {wanted}"
    return f"  {package['name']:<22}{found}{wrong}"
