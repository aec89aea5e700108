"""Groups of commands that list what they have when asked for what they have not."""

from typing import Any

from typer.core import TyperGroup


class ListingGroup(TyperGroup):
    """A group that names its commands where an unknown one is typed."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find a command; for an unknown one, list the known."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            from saccade.controller.names import did_you_mean

            known = self.list_commands(ctx)
            near = did_you_mean(args[0], known)
            ctx.fail(f"no command {args[0]!r}; {near}commands: {', '.join(known)}")
        return super().resolve_command(ctx, args)
