"""What a study names, looked at before any work: cohorts, the oracle, weights, networks."""

from pathlib import Path

from neoresponse.cohort.dictionary import find_cohort, load_cohort_file
from neoresponse.contracts.study import StudyRecord
from neoresponse.evaluation.limit import read_oracle
from neoresponse.folders import check_output
from neoresponse.models.fits import check_network
from neoresponse.models.pretrained import read_weights
from neoresponse.settings import StudySettings


def check_beforehand(settings: StudySettings, folder: Path) -> None:
    """Stop where something that a study needs later is not there or cannot be.

    Args:
        settings: the study.
        folder: the study folder, which need not exist.

    Raises:
        NeoresponseError: a cohort, the oracle or a weights file is not there, or a network takes no
            pictures of the prepared size.
    """
    cohorts = [find_cohort(cohort) for cohort in (settings.cohort, *settings.external.values())]
    weights = [settings.run(name).model.weights for name in settings.runs]
    inputs = (*cohorts, settings.truth, *weights)
    check_output(folder, mark=StudyRecord.FILE_NAME, force=True, inputs=inputs)
    for cohort in cohorts:
        load_cohort_file(cohort)
    if settings.truth is not None:
        read_oracle(settings.truth)
    for name in settings.runs:
        network = settings.run(name).model
        if network.weights is not None:
            read_weights(network.weights)
        check_network(network, image_px=settings.prepare.image_px)
