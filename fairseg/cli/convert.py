"""The command `fairseg convert`: a challenge's folder into nnU-Net's raw layout with groups.csv."""

from pathlib import Path

import click

import fairseg
from fairseg.cli import options
from fairseg.io.sentences import counted

_NAMES = ("kits23", "mnms", "amos", "camus", "totalsegmentator")  # a test compares them with `CONVERTERS`


@options.command()
@click.argument("challenge", type=click.Choice(_NAMES))
@click.argument("folder", type=options.PATH)
@click.option("--out", type=options.OUT, required=True, help="New folder to write the dataset into.")
def convert(challenge: str, folder: Path, out: Path) -> int:
    """Copy the FOLDER of a CHALLENGE, as it was downloaded, into nnU-Net's raw layout with groups.csv."""
    copied = fairseg.datasets.convert(challenge, folder, out)
    source = fairseg.datasets.CONVERTERS[challenge]
    click.echo(f"{counted(copied.cases, 'case')} of {counted(copied.subjects, 'subject')}, copied: {out}")
    for name, number in copied.missing.items():
        click.echo(f"{name} is not known of {counted(number, 'case')}")
    for note in copied.notes:
        click.echo(note)
    click.echo(f"Licence of the data: {source.licence}. Cite: {source.citation}.")
    return 0
