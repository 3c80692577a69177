import pytest

from neoresponse.errors import ConfigError
from neoresponse.settings.toml import study_settings, to_toml


def write(tmp_path, text):
    path = tmp_path / "study.toml"
    path.write_text(text)
    return str(path)


AXES = """
cohort = "c"
[axes.network]
own = {}
resnet50 = { backbone = "resnet50" }
[axes.input]
everything = {}
ultrasound = { pathways = ["dou_ult"] }
[axes.recipe]
plain = {}
long = { train = { epochs = 90 } }
"""


def test_axes_give_every_combination(tmp_path):
    study = study_settings(write(tmp_path, AXES))
    assert len(study.runs) == 8
    assert list(study.runs)[:2] == ["own-everything-plain", "own-everything-long"]
    one = study.run("resnet50-ultrasound-long")
    assert (one.model.backbone, one.model.pathways, one.train.epochs) == (
        "resnet50",
        ("dou_ult",),
        90,
    )


def test_skipped_combinations_are_left_out_and_named_runs_stay(tmp_path):
    text = (
        'skip = ["resnet50-*-long", "*-ultrasound-plain"]\n' + AXES + "[runs.extra]\nse = false\n"
    )
    study = study_settings(write(tmp_path, text))
    assert list(study.runs) == [
        "own-everything-plain",
        "own-everything-long",
        "own-ultrasound-long",
        "resnet50-everything-plain",
        "extra",
    ]


def test_a_resolved_study_reads_back_as_itself(tmp_path):
    study = study_settings(write(tmp_path, AXES))
    assert study_settings(write(tmp_path, to_toml(study))) == study


def test_a_seed_of_a_run_changes_the_seed_alone(tmp_path):
    study = study_settings(write(tmp_path, 'cohort = "c"\nseeds = [3, 4]\n'))
    assert study.run("se_crosst", seed=4) == study.run("se_crosst").model_copy(update={"seed": 4})


def test_paths_of_cohorts_from_elsewhere_count_from_the_study_file(tmp_path):
    study = study_settings(write(tmp_path, 'cohort = "c"\n[external]\nb = "../b"\n'))
    assert study.external["b"] == tmp_path / "../b"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[axes.a]\nx = {se = false}\n[axes.b]\ny = {se = true}\n", "two axes set se"),
        ('skip = ["nothing-*"]\n[axes.a]\nx = {}\n', "fits none of the combinations"),
        ('skip = ["*"]\n[axes.a]\nx = {}\n', "leaves no combination"),
        ("[axes.a]\nx = {sse = false}\n", "sse"),
        ("seeds = [1, 1]\n", "seeds must differ"),
        ('[external]\nTC1 = "x"\n', "none of"),
        ("[cross_validation]\nfolds = 1\n", "at least 2"),
        ("[cross_validation]\nrepeats = 2\n", "need folds"),
        ("[cross_validation]\nfolds = 5\ninner_folds = 3\n", "only one run"),
        ('[compute]\nworkers = 2\nscheduler = "tcp://a:1"\n', "leave it out"),
        ("[compute]\nworkers = 0\n", "workers"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        study_settings(write(tmp_path, 'cohort = "c"\n' + text))
