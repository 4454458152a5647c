"""Short names of groups: an intersection is called by its levels alone."""

from collections import Counter

from fairseg.cohort.groups import Groups


def short_names(groups: Groups) -> tuple[str, ...]:
    """Return what groups are called in sentences, tables and charts.

    A level is enough unless two attributes have one of that name, or it is a bare number.

    >>> cohort = {"sex": ["F", "M"], "age": [41, 57], "smoker": ["no", "yes"], "diabetic": ["yes", "no"]}
    >>> short_names(Groups.from_table(cohort, by=("sex", "age"), bins={"age": [50]}))
    ('age<50 / F', 'age>=50 / M')
    >>> short_names(Groups.from_table(cohort, by=("smoker", "diabetic")))
    ('diabetic=no / smoker=yes', 'diabetic=yes / smoker=no')
    """
    if len(groups.attributes) == 1:
        return groups.names
    levels = Counter(level for column in zip(*groups.cells, strict=True) for level in set(column))
    return tuple(
        " / ".join(
            f"{name}={level}" if levels[level] > 1 or level.replace(".", "").isdigit() else level
            for name, level in zip(groups.attributes, cell, strict=True)
        )
        for cell in groups.cells
    )
