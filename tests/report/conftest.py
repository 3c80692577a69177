"""A small study folder, made by hand: every part that a report reads."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neoresponse.contracts.groups import groups_of_patients
from neoresponse.contracts.predictions import Prediction
from neoresponse.contracts.record import write_record
from neoresponse.durable import write_json, write_text
from neoresponse.evaluation import evaluate
from neoresponse.evaluation.subgroups import subgroups
from neoresponse.settings import EvaluateSettings, RunSettings
from neoresponse.settings.toml import to_toml
from neoresponse.types import CLINICAL_ONLY, REFERENCE_MODELS

PLACES = (("primary", "train"), ("primary", "validation"), ("TC1", "test"), ("TC2", "test"))
INPUTS = ("us_0", "us_1", "biopsy")
REFERENCE_STRENGTHS = dict(zip(REFERENCE_MODELS, (0.12, 0.08, 0.1), strict=True))
HOSTILE = '<script>alert("x")</script> & <b>Co</b> {{ 7 * 7 }}'


@dataclass
class StudyMaker:
    root: Path

    def __call__(
        self,
        name="work",
        *,
        is_simulated=True,
        cohort_name="Phantom of the demo",
        runs=("se_crosst",),
        without=(),
        num_patients=30,
        networks=None,
    ) -> Path:
        work = self.root / name
        parts = {
            "check": self._check,
            "split": self._split,
            "runs": self._runs,
            "evaluation": self._evaluation,
            "explain": self._explain,
        }
        words = {"is_simulated": is_simulated, "cohort_name": cohort_name}
        words |= {"networks": networks or {}}
        for part, make in parts.items():
            if part not in without:
                make(work / part, words, runs=runs, num_patients=num_patients)
        return work

    def _check(self, folder, words, *, runs, num_patients):
        folder.mkdir(parents=True)
        flow = {
            "schema": "neoresponse.flow/1",
            "note": "Made for a test.",
            "num_rows": 4 * num_patients + 3,
            "num_excluded": 3,
            "num_included": 4 * num_patients,
            "reasons": [
                {"reason": "no outcome", "num_patients": 2},
                {"reason": "US-0 cannot be read", "num_patients": 1},
            ],
            "counts": {
                "unifocal": {"pcr": num_patients, "residual": 2 * num_patients},
                "multifocal": {"pcr": num_patients // 3, "residual": num_patients * 2 // 3},
            },
            "available": {"biopsy": 118, "us_0": 120, "us_1": 117, "clinical": 120},
        }
        write_json(folder / "flow.json", flow | marks(words))

    def _split(self, folder, words, *, runs, num_patients):
        folder.mkdir(parents=True)
        counts = {"num_patients": num_patients, "num_pcr": num_patients // 3}
        content = {
            "schema": "neoresponse.split/1",
            "seed": 1,
            "counts": dict.fromkeys(("train", "validation", "TC1", "TC2"), counts),
            "samples": {"balanced": 50, "augmented": 250, "with_ultrasound_versions": 1000},
            "sha256": "ab" * 32,
        }
        write_json(folder / "split.json", content)

    def _runs(self, folder, words, *, runs, num_patients):
        for seed, run in enumerate(runs):
            (folder / run).mkdir(parents=True)
            record = {
                "schema": "neoresponse.run/1",
                "software": "neoresponse 0",
                "precision": "float32",
                "seed": 1,
                "num_parameters": 1_234_567,
                "kept_epoch": 8,
                "num_epochs": 12,
                "samples": {"balanced": 50, "augmented": 250, "with_ultrasound_versions": 1000},
            }
            write_json(folder / run / "run.json", record | marks(words))
            settings = RunSettings(model=words["networks"].get(run, {}))
            write_text(folder / run / "config.toml", to_toml(settings))
            write_text(folder / run / "metrics.csv", epochs_csv(seed))

    def _evaluation(self, folder, words, *, runs, num_patients):
        folder.mkdir(parents=True)
        metrics = evaluated(tuple(runs), num_patients)
        write_record(folder, metrics.model_copy(update=marks(words)))

    def _explain(self, folder, words, *, runs, num_patients):
        for run in runs:
            (folder / run).mkdir(parents=True)
            patients = [self._explained(folder / run, number) for number in range(2)]
            content = {"schema": "neoresponse.explain/1", "stage": 3}
            content |= {"is_simulated": words["is_simulated"], "patients": patients}
            write_json(folder / run / "explain.json", content)

    def _explained(self, folder, number):
        patient_id = f"P{number:03d}"
        inputs = INPUTS[: 3 - number]  # the second patient has no biopsy
        for place, name in enumerate(inputs):
            Image.fromarray(heat(place)).save(folder / f"{patient_id}_{name}.png")
        return {
            "patient_id": patient_id,
            "cohort": "TC1",
            "label": 1 - number,
            "probability": 0.75 - 0.5 * number,
            "toward": ("pcr", "residual")[number],
            "images": [{"input": name, "file": f"{patient_id}_{name}.png"} for name in inputs],
        }


@pytest.fixture
def make_study(tmp_path: Path) -> StudyMaker:
    """Make a study folder under `tmp_path`."""
    return StudyMaker(tmp_path)


@pytest.fixture(scope="session")
def study_maker() -> type[StudyMaker]:
    """Makes study folders under any root, for fixtures that live longer than one test."""
    return StudyMaker


@pytest.fixture(scope="session")
def whole_study(tmp_path_factory) -> Path:
    """One whole study folder of two runs; tests only read it."""
    make = StudyMaker(tmp_path_factory.mktemp("report"))
    networks = {"resnet50": {"backbone": "resnet50"}}
    return make(runs=("se_crosst", "resnet50"), cohort_name=HOSTILE, networks=networks)


@cache
def evaluated(runs, num_patients):
    """Metrics of some runs and the reference models, with subgroups; computed once."""
    strengths = {run: 0.35 - 0.05 * place for place, run in enumerate(runs)} | REFERENCE_STRENGTHS
    predictions = {
        run: draw(seed, strength, num_patients)
        for seed, (run, strength) in enumerate(strengths.items())
    }
    settings = EvaluateSettings(replicates=200)
    metrics = evaluate(predictions, settings, is_simulated=True, cohort_name="any")
    groups = {run: groups_of_patients(rows) for run, rows in predictions.items()}
    known = {
        row.patient_id: {
            "er": ("negative", "positive")[place % 2],
            "machine": "Resona7" if place % 4 else HOSTILE,
        }
        for place, row in enumerate(predictions[CLINICAL_ONLY])
    }
    return metrics.model_copy(update={"subgroups": subgroups(groups, known, settings)})


def marks(words):
    """What every part says: whether it is simulated, and of whom."""
    return {key: words[key] for key in ("is_simulated", "cohort_name")}


def draw(seed, strength, num_patients):
    """Predictions of one run for the patients of every place."""
    rng = np.random.default_rng(seed)
    rows = []
    for cohort, split in PLACES:
        for number in range(num_patients):
            label = int(number % 3 == 0)
            probability = float(np.clip(rng.random() * 0.65 + strength * label, 0, 1))
            rows.append(
                Prediction(f"{cohort}-{split}-{number}", cohort, split, label, probability, ())
            )
    return rows


def epochs_csv(seed):
    """A training of 12 epochs."""
    rng = np.random.default_rng(seed)
    lines = ["epoch,train_loss,validation_loss,validation_accuracy,validation_auc,is_kept"]
    for epoch in range(12):
        loss = 0.7 * np.exp(-epoch / 8)
        noise = rng.normal(0, 0.02, size=3)
        values = (loss, loss + 0.1 + noise[0], 0.6 + epoch / 50 + noise[1], 0.7 + noise[2])
        lines.append(f"{epoch},{','.join(repr(float(v)) for v in values)},{int(epoch == 8)}")
    return "\n".join(lines) + "\n"


def heat(place):
    """A small picture with a bright spot."""
    y, x = np.mgrid[:96, :96]
    spot = np.exp(-((x - 30 - 15 * place) ** 2 + (y - 50) ** 2) / 300)
    return np.stack([255 * spot, 120 * spot, 90 * (1 - spot)], axis=-1).astype(np.uint8)
