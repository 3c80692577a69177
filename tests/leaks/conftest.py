"""A run with its predictions."""

import shutil

import pytest

from neoresponse.training.outputs import predict_run


@pytest.fixture(scope="session")
def predicted(tmp_path_factory, run, store):
    """The run with its predictions, in a folder of its own."""
    folder = tmp_path_factory.mktemp("predicted") / "se_crosst"
    shutil.copytree(run, folder)
    predict_run(folder, store)
    return folder


@pytest.fixture
def copy(predicted, tmp_path):
    """A copy of the run to be changed."""
    return shutil.copytree(predicted, tmp_path / "copy")
