"""wmq: from replays to a Solana program that computes what was trained. One verb per arrow of the pipeline.

The verbs stand in wm_cli/verbs; wm_cli/verb_table.py says which module has which. Each opens files, calls one function,
and writes one artifact.
"""

from typing import Any

import click

from wm_cli.errors import INTERRUPTED, WORDS, WmCliError
from wm_cli.plain_text import os_error_text, plain_error, plain_lines
from wm_cli.verb_table import VERBS, LazyVerb
from wm_export.errors import WmExportError
from wm_live.errors import WmLiveError
from wm_quant.errors import WmQuantError
from wm_train.errors import WmTrainError


class _Group(click.Group):
    """Turns the packages' own errors into one line and exit code 1."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[WORDS] = list(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # who reads has read enough: `wmq ... | head`
            raise
        except OSError as error:
            raise click.ClickException(plain_error(os_error_text(error, ctx.meta[WORDS]))) from None
        except (WmTrainError, WmQuantError, WmExportError, WmLiveError, WmCliError) as error:
            raise click.ClickException(plain_error(error)) from None
        except click.ClickException as error:
            if (said := error.format_message()) == plain_lines(said):
                raise
            raise click.UsageError(plain_error(said), getattr(error, "ctx", None)) from None
        except KeyboardInterrupt:  # before the verb began, or in code that it loads
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except ModuleNotFoundError as error:
            from wm_export.solana.sources import SETUP

            raise click.ClickException(f"{error.name} is not installed; next: {SETUP}") from None


@click.group(
    cls=_Group,
    commands={name: LazyVerb(name) for name in VERBS},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="wmq")
def main() -> None:
    """Replays in, a learned world out: trained, made integer, run on chain, and proved the same bit for bit.

    \b
    In an empty folder:  wmq ingest ~/Slippi   wmq train   wmq train --qat   wmq quantize   wmq evaluate
                         wmq export --target solana   wmq build   wmq cu   wmq parity   wmq report
    Shell completion:    eval "$(_WMQ_COMPLETE=bash_source wmq)"      (or zsh_source, fish_source)
    """


if __name__ == "__main__":
    main()
