"""The command line: every verb, in the order in which data flows.

Heavy modules are imported inside a verb, so that `--help` answers at once.
"""

from typing import Any

import click

from neoresponse import __version__
from neoresponse.cli.clean import clean
from neoresponse.cli.cohort import check, phantom, prepare, reference, split
from neoresponse.cli.networks import predict, search, train
from neoresponse.cli.results import controls, evaluate, explain, report
from neoresponse.cli.studies import demo, doctor, study
from neoresponse.cli.tables import audit, describe, leaks, plan, regress
from neoresponse.errors import Followed, NeoresponseError


class OrderedGroup(click.Group):
    """Lists verbs in the order of the data, and says errors in one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Verbs in the order in which they were defined."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 (click's signature)
        """Turn our errors into one sentence and exit code 1."""
        try:
            return super().invoke(ctx)
        except Followed as error:
            ctx.exit(error.exit_code)
        except NeoresponseError as error:
            click.echo(f"{error.title}: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("Stopped. Run the same command again to continue.", err=True)
            ctx.exit(1)


@click.group(cls=OrderedGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="neoresponse")
def main() -> None:
    """Predict pathologic complete response in breast cancer. For research use only.

    `demo` shows everything on simulated patients; `study` runs a whole study. The verbs from
    `check` to `report` are its steps, in this order.
    """


VERBS = (
    *(phantom, check, split, prepare, reference, search, train, predict, evaluate, explain, report),
    *(study, demo, describe, regress, audit, plan, leaks, controls, clean, doctor),
)
for verb in VERBS:
    main.add_command(verb)
