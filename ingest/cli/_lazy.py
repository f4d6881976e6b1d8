"""Loads a command's module when it is asked for, so that `--help` costs nothing else.

The help page of every command ends in the `Example:` of its docstring.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand
from typer.main import get_command

from ingest.cli._console import ErrorGroup

_EXAMPLE = "Example:"


@dataclass(frozen=True)
class CommandPlace:
    """Where a command or group of commands lives, and the line that `ingest --help` shows."""

    module: str
    attribute: str
    summary: str
    command_class: type[TyperCommand] = TyperCommand


class LazyGroup(ErrorGroup):
    """The root group: knows all commands by name and loads one at a time."""

    places: ClassVar[Mapping[str, CommandPlace]] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the table."""
        return list(self.places)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command, or None when there is no such name."""
        if cmd_name not in self.commands and cmd_name in self.places:
            self.commands[cmd_name] = load_command(cmd_name, self.places[cmd_name])
        return self.commands.get(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; name those that a misspelt one is close to."""
        close = difflib.get_close_matches(args[0], self.places)
        if args[0] not in self.places and close:
            proposed = ", ".join(repr(name) for name in close)
            ctx.fail(f"No such command {args[0]!r}. Did you mean {proposed}?")
        return super().resolve_command(ctx, args)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """End the page of all commands in an example, as every other page does."""
        *_, example = (self.callback.__doc__ or "").partition(_EXAMPLE)
        formatter.write_paragraph()
        formatter.write_text(f"{_EXAMPLE} {' '.join(example.split())}")

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write what stands before the example."""
        formatter.write_paragraph()
        formatter.write_text((self.help or "").partition(_EXAMPLE)[0].strip())

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write names and summaries from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.summary) for name, place in self.places.items()])


def load_command(name: str, place: CommandPlace) -> Any:
    """Return the command as the command line runs it."""
    target = getattr(importlib.import_module(place.module), place.attribute)
    holder = typer.Typer(
        add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
    )
    if isinstance(target, typer.Typer):
        holder.add_typer(target, name=name, no_args_is_help=True)
        holder.callback()(_holder)
        command = get_command(holder).commands[name]  # type: ignore[attr-defined]
    else:
        holder.command(name, cls=place.command_class)(target)
        command = get_command(holder)
    _end_help_in_example(command)
    return command


def _holder() -> None:
    """Hold one group."""


def _end_help_in_example(command: Any) -> None:
    """Move the example behind the options; a group without one shows its first command's."""
    inner = list(getattr(command, "commands", {}).values())
    for each in inner:
        _end_help_in_example(each)
    text, found, example = (command.help or "").partition(_EXAMPLE)
    if found:
        command.help = text.strip()
        # Behind \b a paragraph is not wrapped: the example is one line that can be pasted.
        command.epilog = f"\b\n{_EXAMPLE} {' '.join(example.split())}"
    elif inner:
        command.epilog = inner[0].epilog
