"""A command of which no option is given twice, unless each time counts: click takes the last one silently."""

from collections import Counter

import click


class OnceCommand(click.Command):
    """A command that refuses an option of one value that is given twice; flags may be."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line, and refuse what would be lost of it."""
        if not ctx.resilient_parsing:
            _, _, order = self.make_parser(ctx).parse_args(args=list(args))
            for one, times in Counter(order).items():
                if isinstance(one, click.Option) and times > 1 and not (one.multiple or one.is_flag):
                    how = "once, with all its values" if "," in (one.metavar or "") else "once"
                    raise click.UsageError(f"{one.opts[0]} must be given {how}, got it {times} times", ctx)
        return super().parse_args(ctx, args)
