import shutil

import pytest

from neoresponse import durable
from neoresponse.config import StudySettings
from neoresponse.durable import sha256_of
from neoresponse.study import run_study

RESULTS = (
    "check/findings.csv",
    "split/split.csv",
    "prepared/manifest.json",
    "runs/se_crosst/model/weights.safetensors",
    "runs/se_crosst/predictions.csv",
    "runs/se_crosst/clinical_floor.csv",
    "evaluation/metrics.json",
    "explain/se_crosst/explain.json",
    "report/report.html",
)


class Killed(BaseException):
    """Stands for a SIGKILL: nothing may catch it."""


def hashes(folder):
    return {name: sha256_of(folder / name) for name in RESULTS}


@pytest.fixture(scope="session")
def settings(tiny, phantom):
    return StudySettings.model_validate({**tiny.model_dump(), "cohort": phantom / "cohort"})


@pytest.fixture(scope="session")
def done(tmp_path_factory, settings):
    """A finished study, and how many files it wrote."""
    folder = tmp_path_factory.mktemp("study") / "study"
    counted = []
    original = durable.write_bytes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(durable, "write_bytes", lambda *a: counted.append(1) or original(*a))
        patch.setattr(
            "neoresponse.models.checkpoint.write_bytes",
            lambda *a: counted.append(1) or original(*a),
        )
        run_study(settings, folder)
    return folder, len(counted)


def test_a_finished_study_is_kept_whole(done, settings):
    folder, _ = done
    before = hashes(folder)
    lines = []
    run_study(settings, folder, say=lines.append)
    assert all(": kept " in line for line in lines)
    assert len(lines) == 8
    assert hashes(folder) == before


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.7, 0.95])
def test_a_study_killed_at_a_write_goes_on_and_ends_the_same(
    done, settings, tmp_path, monkeypatch, share
):
    folder, num_writes = done
    left = [round(share * num_writes)]
    original = durable.write_bytes

    def write_bytes(path, content):
        if left[0] == 0:
            path.with_name(path.name + ".0.part").write_bytes(content[: len(content) // 2])
            raise Killed
        left[0] -= 1
        original(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(durable, "write_bytes", write_bytes)
        patch.setattr("neoresponse.models.checkpoint.write_bytes", write_bytes)
        with pytest.raises(Killed):
            run_study(settings, tmp_path / "study")
    run_study(settings, tmp_path / "study")
    assert hashes(tmp_path / "study") == hashes(folder)


def test_a_changed_setting_redoes_just_what_depends_on_it(done, settings, tmp_path):
    folder = shutil.copytree(done[0], tmp_path / "study")
    evaluate = settings.evaluate.model_copy(update={"confidence": 0.9})
    lines = []
    run_study(settings.model_copy(update={"evaluate": evaluate}), folder, say=lines.append)
    redone = [line.partition(":")[0] for line in lines if ": wrote " in line]
    assert redone == ["evaluate", "report"]


def test_a_changed_image_redoes_what_depends_on_it_and_an_unread_file_does_not(
    done, settings, phantom, tmp_path
):
    folder = shutil.copytree(done[0], tmp_path / "study")
    cohort = shutil.copytree(phantom / "cohort", tmp_path / "cohort")
    moved = settings.model_copy(update={"cohort": cohort})
    (cohort / "letter.txt").write_text("a file that no column names")
    lines = []
    run_study(moved, folder, say=lines.append)
    assert not any(line.startswith(("train", "predict")) and "wrote" in line for line in lines)
    frames = sorted((cohort / "ultrasound").glob("*us0.dcm"))
    content = bytearray(frames[0].read_bytes())
    content[-40] ^= 0xFF
    frames[0].write_bytes(bytes(content))
    lines.clear()
    run_study(moved, folder, say=lines.append)
    redone = [line.partition(":")[0] for line in lines if ": wrote " in line]
    assert "prepare" in redone
    assert "train se_crosst" in redone
    assert "split" not in redone


def test_a_lost_result_is_made_again(done, settings, tmp_path):
    folder = shutil.copytree(done[0], tmp_path / "study")
    (folder / "evaluation" / "metrics.json").unlink()
    lines = []
    run_study(settings, folder, say=lines.append)
    redone = [line.partition(":")[0] for line in lines if ": wrote " in line]
    assert redone == ["evaluate"]
    assert hashes(folder) == hashes(done[0])


def test_no_patient_table_value_or_machine_path_leaks_into_the_ledger(done, phantom):
    text = (done[0] / "study.json").read_text() + (done[0] / "cohort-files.json").read_text()
    assert "P0001" not in text
    assert str(phantom) not in text
