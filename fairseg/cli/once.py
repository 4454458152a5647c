"""A command that refuses an option given twice, of which click silently takes the last."""

from collections import Counter

import click


class OnceCommand(click.Command):
    """A command that refuses an option of one value that is given twice; a flag may be."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line; raise a UsageError for a value that would be lost."""
        if not ctx.resilient_parsing:
            _, _, order = self.make_parser(ctx).parse_args(args=list(args))
            for option, times in Counter(order).items():
                if isinstance(option, click.Option) and times > 1 and not (option.multiple or option.is_flag):
                    how = "once, with all its values" if "," in (option.metavar or "") else "once"
                    raise click.UsageError(f"{option.opts[0]} must be given {how}, got it {times} times", ctx)
        return super().parse_args(ctx, args)
