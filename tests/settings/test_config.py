import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from neoresponse.cli.options import NAMED
from neoresponse.errors import ConfigError
from neoresponse.settings import RunSettings, StudySettings
from neoresponse.settings import toml as settings_file

CONFIGS = Path(__file__).parents[2] / "configs"


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_the_published_protocol_is_spelled_out():
    settings = settings_file.run_settings("guo2024")
    assert settings.split.preset_sizes == (391, 49, 51)
    assert (settings.train.epochs, settings.train.kept_epochs) == (60, range(40, 60))
    assert settings.prepare.num_patches == 9
    assert settings.model.neck_dim * len(settings.model.pathways) + 4 == 20


def test_the_defaults_are_the_published_protocol_but_for_the_named_sizes():
    named = settings_file.run_settings("guo2024")
    sizeless = named.split.model_copy(update={"preset_sizes": None})
    assert named.model_copy(update={"split": sizeless}) == RunSettings()


def test_an_unknown_key_stops_and_is_named(tmp_path):
    path = write(tmp_path / "a.toml", "[train]\nlearning_rat = 0.1\n")
    with pytest.raises(ConfigError, match=r"train.learning_rat: expected a known key, got 0.1"):
        settings_file.run_settings(path)


def test_a_wrong_type_stops_and_is_named(tmp_path):
    path = write(tmp_path / "a.toml", '[train]\nepochs = "many"\n')
    with pytest.raises(ConfigError, match=r"train.epochs: .*got 'many'"):
        settings_file.run_settings(path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("train.keep_from_epoch=60", "keep_from_epoch must be below epochs, got 60 and 60"),
        ("prepare.region_px=1500", "region_px must be a multiple of image_px, got 1500 and 512"),
        ('model.pathways=["us_0", "us_0"]', "pathways must differ"),
    ],
)
def test_an_impossible_pair_stops(change, sentence):
    with pytest.raises(ConfigError, match=sentence):
        settings_file.run_settings(None, (change,))


def test_a_network_without_any_input_stops():
    with pytest.raises(ConfigError, match="the network has no input"):
        settings_file.run_settings(None, ("model.pathways=[]", "model.clinical=false"))


def test_one_key_can_be_changed_on_the_command_line():
    settings = settings_file.run_settings("guo2024", ("train.epochs=70", "model.backbone=resnet50"))
    assert settings.train.epochs == 70
    assert settings.model.backbone == "resnet50"


def test_a_change_without_a_value_is_refused():
    with pytest.raises(ConfigError, match=r"expected section.key=value"):
        settings_file.run_settings(None, ("train.epochs",))


def test_a_name_that_is_none_lists_those_there_are():
    names = sorted(path.stem for path in CONFIGS.glob("*.toml"))
    with pytest.raises(ConfigError, match=re.escape(f"one of {names}. ")):
        settings_file.run_settings("guo2042")


def test_the_help_of_config_lists_every_preset():
    assert sorted(NAMED) == sorted(path.stem for path in CONFIGS.glob("*.toml"))


def test_a_file_that_is_no_toml_names_the_place(tmp_path):
    with pytest.raises(ConfigError, match=r"expected TOML, got .*line 1"):
        settings_file.run_settings(write(tmp_path / "a.toml", "seed == 1"))


def test_settings_survive_the_way_through_toml(tmp_path):
    settings = settings_file.run_settings("guo2024", ("seed=7",))
    assert (
        settings_file.run_settings(write(tmp_path / "a.toml", settings_file.to_toml(settings)))
        == settings
    )


def test_a_file_can_start_from_another_one(tmp_path):
    path = write(tmp_path / "a.toml", 'base = "guo2024"\n[train]\nepochs = 50\n')
    settings = settings_file.run_settings(path)
    assert (settings.train.epochs, settings.split.preset_sizes) == (50, (391, 49, 51))


@pytest.mark.parametrize("base", ["guo2024", "modern", "demo", "guo2024_224"])
def test_epochs_alone_can_be_changed_on_every_preset(tmp_path, base):
    path = write(tmp_path / "a.toml", f'base = "{base}"\n[train]\nepochs = 4\n')
    for settings in (
        settings_file.run_settings(path),
        settings_file.run_settings(base, ("train.epochs=4",)),
        settings_file.run_settings(
            write(tmp_path / "b.toml", f'base = "{base}"'), ("train.epochs=4",)
        ),
    ):
        kept = range(0, 4) if base == "modern" else range(2, 4)  # 20 of 300, or the last third
        assert settings.train.kept_epochs == kept
        assert settings.train.warmup_epochs < 4


def test_what_a_preset_counts_in_epochs_keeps_its_share_and_what_you_write_stays():
    train = settings_file.run_settings("modern", ("train.epochs=30",)).train
    assert (train.kept_epochs, train.warmup_epochs) == (range(2, 30), 1)
    own = ("train.epochs=30", "train.keep_from_epoch=9", "train.warmup_epochs=5")
    train = settings_file.run_settings("modern", own).train
    assert (train.kept_epochs, train.warmup_epochs) == (range(9, 30), 5)


def test_epochs_and_a_kept_window_that_you_wrote_and_that_do_not_fit_are_refused(tmp_path):
    path = write(tmp_path / "a.toml", "[train]\nkeep_from_epoch = 40\n")
    with pytest.raises(ConfigError) as refused:
        settings_file.run_settings(path, ("train.epochs=4",))
    sentence = "train: keep_from_epoch must be below epochs, got 40 and 4. Change these keys."
    assert str(refused.value) == f"{path}: {sentence}"


@pytest.mark.parametrize("written", ['sizes = "ratio"', "sizes = [20, 5, 4]"])
def test_sizes_that_you_write_replace_those_of_a_preset(tmp_path, written):
    path = write(tmp_path / "a.toml", f'base = "guo2024"\n[split]\n{written}\n')
    split = settings_file.run_settings(path).split
    assert split.sizes == ((20, 5, 4) if "[" in written else None)
    if "[" not in written:
        assert split.preset_sizes is None


@pytest.mark.parametrize(
    ("change", "meant"),
    [
        ("train.epoch=3", "train.epochs"),
        ("epochs=3", "train.epochs"),
        ("trian.epochs=3", "train"),
        ("train.augment.flip=true", "train.augment.flips"),
        ("evaluate.treshold=half", "evaluate.threshold"),
    ],
)
def test_a_wrong_key_is_answered_with_the_nearest(change, meant):
    with pytest.raises(ConfigError, match=rf"\(did you mean {meant}\?\)"):
        settings_file.run_settings("guo2024", (change,))


def test_a_wrong_key_of_a_run_in_a_study_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match=r"did you mean model.backbone\?"):
        settings_file.study_settings("demo", ("cohort=c", "runs.a.backbon=resnet50"))


def test_a_misspelt_preset_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match=r"Did you mean guo2024\?"):
        settings_file.run_settings("gou2024")


def test_a_study_counts_its_cohort_from_its_own_folder(tmp_path):
    path = write(tmp_path / "study.toml", 'base = "guo2024"\ncohort = "data/ours"\n')
    assert settings_file.study_settings(path).cohort == tmp_path / "data" / "ours"


def test_a_study_lays_each_run_over_the_shared_settings(tmp_path):
    text = 'cohort = "c"\n[runs.a]\n[runs.b]\nse = false\n[runs.b.train]\nepochs = 50\n'
    study = settings_file.study_settings(write(tmp_path / "study.toml", text))
    assert study.run("a").model.se
    assert not study.run("b").model.se
    assert study.run("b").train.epochs == 50


@pytest.mark.parametrize("name", ["../up", "clinical_only", "size_change_only", "a b"])
def test_a_run_that_cannot_be_a_folder_is_refused(tmp_path, name):
    path = write(tmp_path / "study.toml", f'cohort = "c"\n[runs."{name}"]\n')
    with pytest.raises(ConfigError, match="a name is made of letters"):
        settings_file.study_settings(path)


def test_every_field_of_every_section_has_a_sentence():
    def sections(kind: type[BaseModel]):
        yield kind
        for field in kind.model_fields.values():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                yield from sections(field.annotation)

    for kind in sections(StudySettings):
        for name, field in kind.model_fields.items():
            assert (field.description or "").rstrip().endswith("."), f"{kind.__name__}.{name}"


def test_the_networks_of_a_study_replace_those_of_its_base(tmp_path):
    text = 'base = "demo"\ncohort = "c"\n[runs.mine]\n'
    study = settings_file.study_settings(write(tmp_path / "study.toml", text))
    assert list(study.runs) == ["mine"]
    assert study.prepare.image_px == 64


def test_a_base_starts_from_nothing_else(tmp_path):
    path = write(tmp_path / "a.toml", 'base = "a.toml"\n')
    with pytest.raises(ConfigError, match="expected a file without base"):
        settings_file.run_settings(path)


@pytest.mark.parametrize("number", ["inf", "nan"])
def test_a_number_that_is_not_finite_is_refused(number):
    with pytest.raises(ConfigError, match=r"split\.ratio.*finite"):
        settings_file.run_settings(None, (f"split.ratio=[{number}, 1, 1]",))
