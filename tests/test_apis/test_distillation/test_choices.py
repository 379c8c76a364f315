"""Settings by the number of images and the device, against the rules in words."""

import pytest
import torch

from mmlgd.apis.distillation import choices as module
from mmlgd.apis.distillation.choices import choose
from mmlgd.errors import ConfigError, DataError


@pytest.fixture
def cpu(monkeypatch):
    monkeypatch.setattr(module, 'get_device', lambda: 'cpu')
    monkeypatch.setattr(module, '_cores', lambda: 2)


def test_the_demo_gets_what_was_chosen_for_it(cpu):
    """8,000 images on two cores: the settings of configs/demo, found by hand there."""
    found = choose(8000, 64, slow_statistics=True, epochs=10)
    assert (found.batch.value, found.workers.value) == (128, 2)
    assert found.steps.value == 8000 // 128 * 10 == 620
    assert found.learning_rate.value == 0.24
    assert found.student_norms.value == 0.1
    assert found.visual_bank.value == 0.99
    assert found.precision.value == 'float32'
    assert found.student_size.value == 64


def test_a_long_run_on_many_images_gets_the_published_settings(gpu):
    """Batch 256 and lr 0.03 a device; over 8 devices 2048 and 0.24, as in the paper."""
    found = choose(1_281_167, 224, slow_statistics=True, devices=8, epochs=200)
    assert found.batch.value == 256
    assert found.steps.value == 1_281_167 // 8 // 256 * 200
    assert found.learning_rate.value == 0.24
    assert found.visual_bank.value == 0.999
    assert found.student_norms.value is None
    assert found.workers.value == 2
    assert found.augmentation.value == 'device'
    assert found.precision.value == 'bfloat16'


@pytest.mark.parametrize('steps', [1, 4999, 5000, 20_000, 99_999, 100_000, 10**6])
def test_the_learning_rate_falls_with_the_steps_and_grows_with_the_batch(steps):
    rate = module._learning_rate(256, steps, None).value
    assert 0.03 <= rate <= 0.48
    assert module._learning_rate(256, 2 * steps, None).value <= rate
    assert module._learning_rate(512, steps, None).value == pytest.approx(
        2 * rate, rel=0.01
    )


@pytest.mark.parametrize('images', [2, 3, 15, 16, 17, 100, 999, 8000, 10**6])
@pytest.mark.parametrize('devices', [1, 4])
def test_every_number_of_images_gives_a_step(cpu, images, devices):
    if images < 2 * devices:
        with pytest.raises(DataError, match=f'{images} images for {devices} device'):
            choose(images, 224, False, devices)
        return
    found = choose(images, 224, False, devices)
    assert 2 <= found.batch.value <= images // devices
    assert found.steps.value >= found.epochs.value >= 1


def test_a_small_gpu_gets_smaller_batches(gpu, monkeypatch):
    properties = type('Properties', (), dict(total_memory=8 * 2**30))
    monkeypatch.setattr(torch.cuda, 'get_device_properties', lambda _: properties)
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda: (7, 5))
    found = choose(10**6, 224, False)
    assert found.batch.value == 64
    assert found.precision.value == 'float16'


def test_given_values_are_kept_and_checked(cpu):
    found = choose(
        100, 224, False, epochs=3, batch_size=50, learning_rate=0.5, workers=0
    )
    assert found.batch.value == 50
    assert found.learning_rate.value == 0.5
    assert found.workers.value == 0
    assert found.steps.value == 6
    with pytest.raises(ConfigError, match='batch_size is 101.*only 100'):
        choose(100, 224, False, batch_size=101)
    with pytest.raises(ConfigError, match='epochs must be a whole number'):
        choose(100, 224, False, epochs=0)
    with pytest.raises(ConfigError, match='learning_rate must be'):
        choose(100, 224, False, learning_rate=-1.0)


def test_every_setting_is_one_line_with_a_reason(cpu):
    lines = choose(8000, 336, True).lines()
    assert all(line.count('\n') == 0 and len(line.split()) > 3 for line in lines)
    assert 'student size  224         pixels; the teacher sees 336' in lines
