"""Fill in templates: pages, in which every name is escaped, and sentences as plain text."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from fairseg.report import numbers


@cache
def environment(*, html: bool) -> Environment:
    """Return the templates of this room, with the writers of numbers as filters."""
    made = Environment(
        loader=PackageLoader("fairseg", "report"),
        autoescape=html,
        undefined=StrictUndefined,
        trim_blocks=html,
        lstrip_blocks=html,
    )
    made.filters |= {"score": numbers.score, "percent": numbers.percent, "p_value": numbers.p_value}
    return made


def render_text(template: str, **values: object) -> str:
    """Fill in a template of sentences."""
    return environment(html=False).get_template(template).render(**values)
