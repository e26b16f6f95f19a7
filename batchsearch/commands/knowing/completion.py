"""`batchsearch completion`: the scripts, and what is proposed while somebody types.

Proposals go by what an argument is called, so that every command that takes a job file, an error code or
`--set` completes it without a word of its own.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PROGRAM: Final = "batchsearch"
COMPLETE_VARIABLE: Final = "_BATCHSEARCH_COMPLETE"
"""The scripts set it: the command then proposes words and does nothing else."""

_EPILOG: Final = """\b
To have it in every new shell:
  bash  batchsearch completion bash > ~/.local/share/bash-completion/completions/batchsearch
  zsh   batchsearch completion zsh > ~/.zfunc/_batchsearch    (with fpath+=~/.zfunc before compinit)
  fish  batchsearch completion fish > ~/.config/fish/completions/batchsearch.fish
"""

_ENDINGS: Final = (".yaml", ".yml")
_MOST_FILES: Final = 1_000


def job_files(begun: str) -> Iterator[str]:
    """Job files, and folders that may hold some, for what is typed so far."""
    folder, _, name = begun.rpartition("/")
    shown = begun[: len(begun) - len(name)]
    try:
        with os.scandir(Path(folder or ("/" if begun.startswith("/") else ".")).expanduser()) as entries:
            found = sorted(
                (entry.name, entry.is_dir())
                for _, entry in zip(range(_MOST_FILES), entries, strict=False)
                if entry.name.startswith(name) and (name or not entry.name.startswith("."))
            )
    except OSError:
        return
    for each, is_folder in found:
        if is_folder:
            yield f"{shown}{each}/"
        elif each.endswith(_ENDINGS):
            yield f"{shown}{each}"


def settings(begun: str) -> Iterator[str]:
    """Names of settings for `--set`, each with its `=`; behind it the values, where there are only some."""
    from batchsearch.config.model import JobSettings
    from batchsearch.config.shape import Shape, shape_of

    def below(shape: Shape, path: tuple[str, ...]) -> Iterator[tuple[str, Shape]]:
        for name in shape.names:
            child = shape.child(name)
            if child is None:
                continue
            if child.names:
                yield from below(child, (*path, name))
            else:
                yield ".".join((*path, name)), child

    name, equals, value = begun.partition("=")
    for setting, shape in below(shape_of(JobSettings), ()):
        if not equals and setting.startswith(name):
            yield f"{setting}{'.' if shape.values is not None else '='}"
        elif equals and setting == name:
            switch = shape.field is not None and shape.field.annotation is bool
            values = ("true", "false") if switch else shape.choices
            yield from (f"{setting}={each}" for each in values if each.startswith(value))


def setting_names(begun: str) -> Iterator[str]:
    """Settings and sections that `batchsearch config explain` knows."""
    from batchsearch.config.setting_help import every_setting

    yield from (name for name in every_setting() if name.startswith(begun))


def error_codes(begun: str) -> Iterator[str]:
    """Error codes, the vendor's and those of this program."""
    from batchsearch.service.codes.table import CODES

    yield from (name for name in CODES if name.startswith(begun) and not name.endswith("*"))


def table_names(begun: str) -> Iterator[str]:
    """Tables that `batchsearch schema` knows."""
    from batchsearch.storage.tables import TABLES

    yield from (name for name in TABLES if name.startswith(begun))


def operation_names(begun: str) -> Iterator[str]:
    """Operations that a job may call."""
    from batchsearch.storage.parts.results_and_hits import RESULT_COLUMNS

    yield from (name for name in RESULT_COLUMNS if name.startswith(begun))


PROPOSALS: Final[dict[str, Callable[[str], Iterator[str]]]] = {
    "config": job_files,
    "overrides": settings,
    "setting": setting_names,
    "code": error_codes,
    "table": table_names,
    "operation": operation_names,
}
"""What is proposed for an argument or option, by the name that its command gives it."""


def proposals(
    complete: ShellComplete, args: list[str], incomplete: str, usual: Callable[..., list[CompletionItem]]
) -> list[CompletionItem]:
    """What may stand where somebody is typing: by `PROPOSALS`, or as click proposes."""
    from click.shell_completion import _resolve_context, _resolve_incomplete

    with _resolve_context(complete.cli, complete.ctx_args, complete.prog_name, args) as context:
        parameter, begun = _resolve_incomplete(context, args, incomplete)
    found = PROPOSALS.get(getattr(parameter, "name", None) or "")
    if found is None or not isinstance(parameter, click.Parameter):
        return usual(args, incomplete)
    return [CompletionItem(text) for text in found(begun)]


class _Bash(BashComplete):
    """Bash takes `a=b` for three words, and replaces the last one only."""

    _already = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        args, incomplete = super().get_completion_args()
        if incomplete == "=":
            args, incomplete = [*args, "="], ""
        if len(args) > 1 and args[-1] == "=" and not args[-2].startswith("-"):
            self._already = f"{args[-2]}="
            args, incomplete = args[:-2], f"{self._already}{incomplete}"
        return args, incomplete

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        return proposals(self, args, incomplete, super().get_completions)

    def format_completion(self, item: CompletionItem) -> str:
        return f"{item.type},{str(item.value).removeprefix(self._already)}"


class _Zsh(ZshComplete):
    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        return proposals(self, args, incomplete, super().get_completions)


class _Fish(FishComplete):
    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        return proposals(self, args, incomplete, super().get_completions)


_SHELLS: Final[dict[str, type[ShellComplete]]] = {"bash": _Bash, "zsh": _Zsh, "fish": _Fish}


_AFTERWARDS: Final = {
    "bash": """
# A folder, or the name of a setting, is not the end of a word: no space follows it.
_batchsearch_completion_going_on() {
    _batchsearch_completion "$@"
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/.] ]]; then
        compopt -o nospace 2>/dev/null
    fi
    return 0
}
complete -o nosort -F _batchsearch_completion_going_on batchsearch
"""
}
"""What a shell is told beside click's own script."""


def register() -> None:
    """Let click propose by `PROPOSALS`; called when the shell asks."""
    for name, shell in _SHELLS.items():
        add_completion_class(shell, name)


@click.command(epilog=_EPILOG)
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script that completes words for a SHELL: bash, zsh or fish.

    Commands, options, job files, error codes, tables, and the settings of `--set` are completed.
    To try it in the shell at hand: `eval "$(batchsearch completion bash)"`.
    """
    made: Any = _SHELLS[shell](context.find_root().command, {}, _PROGRAM, COMPLETE_VARIABLE)
    # Not `source`: bash's asks the bash on the path for its version, which need not be the one to come.
    click.echo(made.source_template % made.source_vars() + _AFTERWARDS.get(shell, ""))
