"""Every part of a recipe against a known value or a slow, obvious twin."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from neoresponse.data.augment import draw_samples
from neoresponse.data.forward import batch_logits
from neoresponse.models.build import build_model
from neoresponse.settings import AugmentSettings, TrainSettings, VarySettings
from neoresponse.settings.toml import run_settings
from neoresponse.training.average import WeightAverage
from neoresponse.training.fit import fit_inputs
from neoresponse.training.keep import is_best, is_over
from neoresponse.training.loop import take_steps
from neoresponse.training.objective import sample_losses
from neoresponse.training.optim import (
    clip_gradients,
    learning_rate,
    make_optimiser,
    restore_state,
    state_tensors,
)
from neoresponse.training.plan import Drawn, class_weights, draw_plan, step_seed
from neoresponse.training.state import begin

CPU = torch.device("cpu")
SAME = torch.tensor([0.3, -1.2, 4.0, 0.0])
LABEL = torch.tensor([1.0, 0.0, 0.0, 1.0])


def rows(*values):
    """(epoch, accuracy, loss, AUC) as metrics."""
    names = ("epoch", "validation_accuracy", "validation_loss", "validation_auc")
    return [dict(zip(names, (*value, 0.5)[:4], strict=True)) for value in values]


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([(0, 0.9, 0.1)], False),  # too early
        ([(40, 0.8, 0.5)], True),
        ([(40, 0.8, 0.5), (41, 0.7, 0.1)], False),
        ([(40, 0.8, 0.5), (41, 0.8, 0.4)], True),  # equal accuracy, lower loss
        ([(40, 0.8, 0.5), (41, 0.8, 0.5)], False),  # equal in both: the first stays
        ([(0, 0.99, 0.1), (40, 0.8, 0.5)], True),
    ],
)
def test_the_kept_epoch_is_the_best_in_validation_accuracy_among_the_allowed(history, expected):
    assert is_best(rows(*history), TrainSettings()) is expected


def kept(history, **settings):
    """The epoch that a training with this history keeps."""
    chosen = [
        i for i in range(len(history)) if is_best(history[: i + 1], TrainSettings(**settings))
    ]
    return chosen[-1]


def test_both_readings_of_the_published_rule_keep_the_best_epoch_of_their_window():
    accuracy = [0.5] * 60
    accuracy[10], accuracy[25], accuracy[55], accuracy[59] = 0.99, 0.9, 0.95, 0.7
    history = rows(*((epoch, value, 0.5) for epoch, value in enumerate(accuracy)))
    assert kept(history) == 55
    assert kept(history, keep_from_epoch=20, keep_before_epoch=40) == 25
    assert kept(history, keep="last") == 59
    assert kept(history, keep="last", keep_from_epoch=20, keep_before_epoch=40) == 39


def test_another_measure_keeps_another_epoch():
    history = rows((0, 0.9, 0.5, 0.6), (1, 0.8, 0.2, 0.7), (2, 0.7, 0.4, 0.9))
    settings = {"epochs": 3, "keep_from_epoch": 0}
    assert [kept(history, keep=name, **settings) for name in ("accuracy", "loss", "auc")] == [
        *(0, 1, 2)
    ]


def test_training_stops_early_after_as_many_epochs_without_a_better_one():
    settings = TrainSettings(epochs=9, keep_from_epoch=1, patience=2)
    history = rows((0, 0.9, 0.5), (1, 0.6, 0.5), (2, 0.7, 0.5), (3, 0.7, 0.5), (4, 0.6, 0.5))
    assert [is_over(history[:n], settings) for n in range(1, 6)] == [False] * 4 + [True]
    assert not is_over(history, settings.model_copy(update={"patience": None}))


def test_the_plain_loss_is_binary_cross_entropy():
    expected = binary_cross_entropy_with_logits(SAME, LABEL, reduction="none")
    assert torch.equal(sample_losses(SAME, LABEL, TrainSettings()), expected)


def test_smoothed_labels_give_the_cross_entropy_written_out():
    found = sample_losses(SAME, LABEL, TrainSettings(label_smoothing=0.2))
    for logit, label, loss in zip(SAME.tolist(), LABEL.tolist(), found.tolist(), strict=True):
        target = 0.9 if label else 0.1
        p = 1 / (1 + math.exp(-logit))
        expected = -target * math.log(p) - (1 - target) * math.log(1 - p)
        assert loss == pytest.approx(expected, rel=1e-5)


def test_the_focal_loss_is_the_published_formula():
    found = sample_losses(SAME, LABEL, TrainSettings(focal_gamma=2))
    for logit, label, loss in zip(SAME.tolist(), LABEL.tolist(), found.tolist(), strict=True):
        p = 1 / (1 + math.exp(-logit))
        of_label = p if label else 1 - p
        assert loss == pytest.approx(-((1 - of_label) ** 2) * math.log(of_label), rel=1e-5)


def test_warm_up_rises_in_a_line_and_a_cosine_falls_to_zero_at_the_last_step():
    settings = TrainSettings(
        epochs=4, keep_from_epoch=0, warmup_epochs=1, schedule="cosine", learning_rate=0.4
    )
    rates = [learning_rate(settings, step=step, steps_per_epoch=3) for step in range(12)]
    assert rates[:4] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert rates[-1] == pytest.approx(0)
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert rates[7] == pytest.approx(0.2)  # half way from step 3 to step 11


def test_the_published_learning_rate_is_constant():
    settings = run_settings("guo2024").train
    rates = {
        learning_rate(settings, step=step, steps_per_epoch=752) for step in range(0, 45120, 99)
    }
    assert rates == {0.001}


@pytest.mark.parametrize("decay", [0.9, 0.999])
def test_the_average_of_weights_is_the_one_of_torch(decay):
    """Once warm: torch's own average keeps one decay from its first update on."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    ours = WeightAverage(network, decay)
    twin = torch.optim.swa_utils.AveragedModel(
        network,
        multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(decay),
        use_buffers=True,
    )
    twin.update_parameters(network)  # its first one copies
    for step in range(5):
        for parameter in network.parameters():
            parameter.data.add_(torch.randn_like(parameter))
        network(torch.randn(4, 3))  # moves the buffers
        ours.update(100_000 + step)
        twin.update_parameters(network)
    own = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with ours.in_place():
        found = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for name, expected in twin.module.state_dict().items():
        if expected.is_floating_point():  # the counter of batches: torch leaves it, ours follows
            torch.testing.assert_close(found[name], expected)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, own[name])


def test_the_first_steps_move_the_average_fast():
    network = torch.nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(0.0)
    average = WeightAverage(network, 0.999)
    network.weight.data.fill_(1.0)
    average.update(1)
    assert average.tensors()["average/weight"].item() == pytest.approx(1 - 2 / 11)


def test_large_gradients_are_scaled_to_the_limit_and_small_ones_left():
    network = torch.nn.Linear(2, 1, bias=False)
    network.weight.grad = torch.tensor([[3.0, 4.0]])
    assert clip_gradients(network, 1.0).item() == pytest.approx(5)
    assert network.weight.grad.norm().item() == pytest.approx(1)
    assert clip_gradients(network, 2.0).item() == pytest.approx(1)
    assert network.weight.grad.norm().item() == pytest.approx(1)


def test_decay_leaves_lone_vectors_alone():
    network = torch.nn.Linear(3, 2)
    settings = TrainSettings(optimiser="adamw", weight_decay=0.5, learning_rate=0.1)
    optimiser = make_optimiser(network, settings)
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    network(torch.zeros(1, 3)).sum().mul(0).backward()
    optimiser.step()
    torch.testing.assert_close(network.weight, before["weight"] * 0.95)
    assert torch.equal(network.bias, before["bias"])


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_an_optimiser_goes_on_exactly_where_it_stopped(kind):
    settings = TrainSettings(optimiser=kind, weight_decay=0.1 if kind == "adamw" else 0)

    def step(model, optimiser):
        optimiser.zero_grad()
        model(torch.ones(1, 3)).sum().backward()
        optimiser.step()

    torch.manual_seed(0)
    first = torch.nn.Linear(3, 2)
    optimiser = make_optimiser(first, settings)
    step(first, optimiser)
    second = torch.nn.Linear(3, 2)
    second.load_state_dict(first.state_dict())
    resumed = make_optimiser(second, settings)
    restore_state(resumed, second, state_tensors(optimiser, first))
    step(first, optimiser)
    step(second, resumed)
    assert torch.equal(first.weight, second.weight)


def drawn(num=60, num_pcr=9, seed=1):
    label = [1] * num_pcr + [0] * (num - num_pcr)
    plain = AugmentSettings(flips=False, num_variants=0, us_factor=1)
    samples = draw_samples([f"P{i}" for i in range(num)], range(num), label, plain, seed=seed)
    return Drawn(samples, np.array(label), num_patches=9, seed=seed)


def test_an_epoch_shows_each_sample_once():
    plan = draw_plan(drawn(), TrainSettings(), epoch=3)
    assert sorted(plan.chosen) == list(range(60))
    assert set(plan.patches) <= set(range(9))


def test_weighted_sampling_shows_both_classes_equally_often():
    source = drawn()
    settings = TrainSettings(sampling="weighted")
    shown = np.concatenate([draw_plan(source, settings, epoch=e).chosen for e in range(100)])
    share = np.mean(source.label[shown] == 1)
    assert abs(share - 0.5) < 4 * 0.5 / math.sqrt(len(shown))
    assert class_weights(source.label).sum() == pytest.approx(1)


def test_an_epoch_follows_from_seed_and_number_alone():
    settings = TrainSettings(sampling="weighted", vary=VarySettings(stain=0.1, flips=True))
    texts = [
        draw_plan(drawn(seed=s), settings, epoch=e).to_csv() for s, e in ((1, 0), (1, 1), (2, 0))
    ]
    assert len(set(texts)) == 3
    np.random.default_rng(5).random()
    assert draw_plan(drawn(), settings, epoch=0).to_csv() == texts[0]
    assert len({step_seed(1, epoch=e, step=s) for e in range(9) for s in range(9)}) == 81


def test_the_record_of_an_epoch_has_a_line_per_shown_sample_and_a_column_per_change():
    settings = TrainSettings(vary=VarySettings(max_rotation_deg=5))
    lines = draw_plan(drawn(), settings, epoch=0).to_csv().splitlines()
    assert len(lines) == 61
    assert lines[0].split(",")[:4] == ["sample", "patch", "is_flipped_ud", "is_flipped_lr"]
    assert lines[0].count(",") == len(lines[1].split(",")) - 1 == 16


@pytest.fixture
def fitted(store, assignments, tiny):
    return fit_inputs(store, assignments, tiny, CPU)


def network(settings):
    torch.manual_seed(settings.seed)
    return build_model(settings.model, image_px=settings.prepare.image_px)


def first_epoch(fitted, settings):
    """A training after the steps of its first epoch."""
    training = begin(network(settings), settings.train)
    store, samples = fitted.dataset.store, fitted.samples
    label = np.array([store.patients[row].label for row in samples.row])
    plan = draw_plan(Drawn(samples, label, 9, settings.seed), settings.train, epoch=0)
    take_steps(training, fitted, settings, plan, None)
    return training, plan


def test_the_published_recipe_is_adam_on_cross_entropy_written_out(fitted, tiny):
    ours, plan = first_epoch(fitted, tiny)
    twin = network(tiny).train()
    adam = torch.optim.Adam(twin.parameters(), lr=0.001)
    size = tiny.train.batch_size
    for start in range(0, len(plan), size):
        some = slice(start, start + size)
        batch = fitted.dataset.training_batch(fitted.samples, plan.chosen[some], plan.patches[some])
        adam.zero_grad()
        logits = batch_logits(twin, batch).squeeze(1)
        binary_cross_entropy_with_logits(logits, batch.label).backward()
        adam.step()
    for name, tensor in twin.state_dict().items():
        torch.testing.assert_close(ours.model.state_dict()[name], tensor, rtol=1e-4, atol=1e-6)


def changed(settings, **train):
    """The same run with another recipe."""
    return settings.model_copy(update={"train": settings.train.model_copy(update=train)})


def test_a_step_in_parts_has_the_gradients_of_the_whole(fitted, tiny):
    """One step: 16 samples at once, and in parts of 5, 5, 5 and 1."""
    few = dataclasses.replace(
        fitted,
        samples=dataclasses.replace(
            fitted.samples,
            **{
                column.name: getattr(fitted.samples, column.name)[:16]
                for column in dataclasses.fields(fitted.samples)
            },
        ),
    )
    whole, _ = first_epoch(few, tiny)
    parts, _ = first_epoch(few, changed(tiny, micro_batch=5))
    for (name, ours), expected in zip(
        parts.model.named_parameters(), whole.model.parameters(), strict=True
    ):
        torch.testing.assert_close(ours.grad, expected.grad, rtol=1e-4, atol=1e-7, msg=name)


@pytest.mark.parametrize(
    "change",
    [
        {"optimiser": "adamw", "weight_decay": 0.05},
        {"schedule": "cosine"},
        {"sampling": "weighted"},
        {"clip_norm": 0.01},
        {"label_smoothing": 0.1},
        {"focal_gamma": 2.0},
        {"vary": VarySettings(stain=0.2)},
        {"vary": VarySettings(speckle=0.2)},
    ],
)
def test_every_option_reaches_the_steps(fitted, tiny, change):
    plain, _ = first_epoch(fitted, tiny)
    other, _ = first_epoch(fitted, changed(tiny, **change))
    assert not all(
        torch.equal(a, b)
        for a, b in zip(plain.model.parameters(), other.model.parameters(), strict=True)
    )
