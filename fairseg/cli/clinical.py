"""How the command `fairseg` is told which labels are parts of the heart, and what its phases are called."""

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # not generic in older releases

ROLES = ("lv", "myocardium", "rv")


class Roles(_ParamType):
    """`lv=LVBP,myocardium=LVM,rv=RVBP`."""

    name = "roles"

    def convert(self, value: Any, param: Any, ctx: Any) -> dict[str, str]:
        """Return role -> name of its label."""
        roles: dict[str, str] = {}
        for part in str(value).split(","):
            role, _, label = (text.strip() for text in part.partition("="))
            if not role or not label:
                self.fail(f"{value!r} is not like lv=LVBP,myocardium=LVM,rv=RVBP", param, ctx)
            if role not in ROLES:
                self.fail(f"{value!r}: {role!r} must be one of {', '.join(ROLES)}", param, ctx)
            if role in roles:
                self.fail(f"{value!r} repeats the role {role!r}", param, ctx)
            if label in roles.values():
                self.fail(f"{value!r} gives the label {label!r} to two roles", param, ctx)
            roles[role] = label
        return roles


class Phase(_ParamType):
    """`frame=ED,ES`."""

    name = "phase"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, tuple[str, str]]:
        """Return the attribute and its levels of end-diastole and end-systole."""
        name, _, levels = (text.strip() for text in str(value).partition("="))
        diastole, comma, systole = (text.strip() for text in levels.partition(","))
        if not (name and diastole and comma and systole) or "," in systole:
            self.fail(f"{value!r} is not like frame=ED,ES", param, ctx)
        if diastole == systole:
            self.fail(f"{value!r} must name two different phases", param, ctx)
        return name, (diastole, systole)
