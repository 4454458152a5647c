"""The commands about fairseg itself: `fairseg doctor` and `fairseg completion`."""

import json
import shutil
from itertools import groupby
from typing import Any

import click
from click.shell_completion import get_completion_class

from fairseg.cli import options


@options.command(debug=False)
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def doctor(as_json: bool) -> int:
    """Show what is installed, what is missing, and what there is to compute on."""
    from fairseg.cli.installation import describe  # noqa: PLC0415  (importlib.metadata would slow every help)

    about = describe()
    click.echo(json.dumps(about, indent=1) if as_json else "\n".join(_lines(about)))
    return 0


@options.command(debug=False)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print the script that lets a SHELL complete commands, options and files.

    For bash, add to ~/.bashrc:  eval "$(fairseg completion bash)"

    For zsh, add to ~/.zshrc:  eval "$(fairseg completion zsh)"

    For fish:  fairseg completion fish > ~/.config/fish/completions/fairseg.fish
    """
    script = get_completion_class(shell)
    assert script is not None  # click knows all three
    click.echo(script(context.find_root().command, {}, "fairseg", "_FAIRSEG_COMPLETE").source())
    return 0


def _lines(about: dict[str, Any]) -> list[str]:
    package, python, variables = about["fairseg"], about["python"], about["variables"]
    lines = [
        f"fairseg   {package['version']}, in {package['place']}",
        f"python    {python['version']} ({python['implementation']}), {about['platform']}",
        *_device_lines(about["torch"], about["cores"]),
    ]
    for extra, group in groupby(about["packages"], key=lambda entry: entry["extra"]):
        packages = list(group)
        heading = "Packages:" if extra is None else f"Extra {extra}:"
        if extra is not None and any(entry["installed"] is None for entry in packages):
            heading += f" pip install 'fairseg[{extra}]' brings what is missing"
        lines += ["", heading]
        for entry in packages:
            is_outside = entry["installed"] is not None and not entry["ok"]
            hint = f"  outside {entry['wanted']}" if is_outside else ""
            lines.append(f"  {entry['name']:<22}{entry['installed'] or 'missing'}{hint}")
    if any(state != "not set" for state in variables.values()):
        lines += ["", "nnU-Net's variables:", *(f"  {name:<22}{state}" for name, state in variables.items())]
    else:
        lines += ["", "nnU-Net's variables: none is set (only nnU-Net itself needs them)"]
    chromium = "found" if shutil.which("chromium") else "not found"
    lines.append(f"Chromium: {chromium} (only fairseg's own tests need it; any browser shows a report)")
    return [*lines, "", *([f"PROBLEM: {problem}" for problem in about["problems"]] or ["No problem found."])]


def _device_lines(torch: dict[str, Any], cores: int) -> list[str]:
    if "error" in torch:
        return [f"device    unknown, torch cannot be loaded; {cores} cores"]
    threads = f"torch uses {torch['threads']} of {cores} cores"
    if not torch["devices"]:
        build = f"CUDA {torch['cuda']}" if torch["cuda"] else "the CPU"
        return [f"device    cpu (torch {torch['version']} is built for {build} and finds no GPU); {threads}"]
    cards = [f"{card['name']} {card['card']}, {card['memory_gib']} GiB" for card in torch["devices"]]
    return [f"device    {card} (CUDA {torch['cuda']})" for card in cards] + [f"threads   {threads}"]
