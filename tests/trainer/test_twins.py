"""The contract of the back ends: the same pixels for the same parameters, and parameters drawn alike."""

import numpy as np
import pytest
import torch
from scipy import stats

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.augment import ASSIGNMENT, Augmenter, pipeline_of_texts
from cifar_report.trainer.augment_library import build, load_albumentations
from cifar_report.trainer.augment_spelling import meant, parse_call
from cifar_report.trainer.feed import make_feed
from cifar_report.trainer.images import Split, facts
from cifar_report.trainer.plan import EpochPlan
from cifar_report.trainer.twins import RULES, TwinAugmenter, make_twins

A = load_albumentations()
SIDE = 32


def transform(text):
    call = meant(parse_call(text))
    return build(call.name, call.arguments)


def photos(count, channels=3, side=SIDE):
    """Return images with the smooth shades, edges and noise of photographs."""
    rng = np.random.default_rng(8)
    y, x = np.mgrid[:side, :side] / side
    waves = rng.uniform(-9, 9, (count, channels, 2, 1, 1))
    smooth = 90 + 60 * np.sin(waves[:, :, 0] * x + waves[:, :, 1] * y)
    smooth[:, :, 8:20, 5:15] += 70
    noisy = smooth + rng.normal(0, 12, smooth.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def theirs(transforms, images, key=(0,)):
    compose = A.Compose([*transforms, A.Normalize()])
    return Augmenter(compose)(images, np.arange(len(images)), key)


def ours(transforms, images, key=(0,)):
    height, width, channels = images.shape[1:]
    twins = make_twins(transforms, (channels, height, width))
    return TwinAugmenter(twins, len(images))(images, np.arange(len(images)), key)


EXACT = [
    "HorizontalFlip(p=1)",
    "VerticalFlip(p=1)",
    "Transpose(p=1)",
    "NoOp(p=1)",
    "HorizontalFlip(p=0)",
    "PadIfNeeded(min_height=41, min_width=40)",
    "PadIfNeeded(min_height=41, min_width=40, border_mode=cv2.BORDER_REFLECT)",
    "PadIfNeeded(min_height=36, min_width=32, border_mode=cv2.BORDER_REPLICATE)",
    "PadIfNeeded(min_height=40, min_width=43, border_mode=cv2.BORDER_CONSTANT, fill=(9, 99, 199))",
    "RandomCrop(32, 32)",
    "CoarseDropout(max_holes=1, max_height=32, max_width=32, fill=7, p=1)",
    "Affine(translate_px={'x': 3, 'y': -5}, border_mode=cv2.BORDER_REFLECT_101, p=1)",
    "Affine(translate_percent={'x': 0.14, 'y': -0.14}, border_mode=cv2.BORDER_CONSTANT, fill=77, p=1)",
    "Affine(rotate=90, p=1)",
]


@pytest.mark.parametrize("text", EXACT)
def test_what_moves_whole_pixels_is_exact(text):
    images = photos(6)
    assert (ours([transform(text)], images) == theirs([transform(text)], images)).all()


def test_gray_differs_by_one_level_at_most():
    images = np.random.default_rng(1).integers(0, 256, (50, SIDE, SIDE, 3), dtype=np.uint8)
    gray = transform("ToGray(p=1)")
    assert abs(ours([gray], images).astype(int) - theirs([gray], images)).max() <= 1


WARPS = [
    f"Affine(rotate={turn}, scale={scale}, translate_px={{'x': {shift}, 'y': {-shift}}}, shear={shear}, "
    f"border_mode={border}, fill=(12, 130, 250), p=1)"
    for turn in (-29.3, 11.7)
    for scale in (0.91, 1.08)
    for shift, shear in ((3, 0), (0, {"x": 9, "y": -6}))
    for border in (0, 1, 4)
] + [
    "Rotate(limit=(21.5, 21.5), p=1)",
    "Rotate(limit=(-7, -7), border_mode=0, fill=0, p=1)",
    "ShiftScaleRotate(shift_limit=(0.1, 0.1), scale_limit=(-0.07, -0.07), rotate_limit=(25, 25), p=1)",
]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("text", WARPS)
def test_a_warp_differs_by_one_level_at_most_with_opencv_5(text, channels):
    """OpenCV 4 reckons with 32 steps between two pixels: there it may be 4 levels, and 99.4 % within 1."""
    import cv2

    images = photos(8, channels)
    warp = transform(text.replace("(12, 130, 250)", "130"))
    gap = abs(ours([warp], images).astype(int) - theirs([warp], images))
    limit = 1 if int(cv2.__version__.split(".")[0]) >= 5 else 4
    assert gap.max() <= limit
    assert (gap <= 1).mean() >= 0.994


def test_normalised_in_the_batch_is_what_albumentations_normalises():
    images, mean, std = photos(6), (0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.262)
    normal = A.Normalize(mean=mean, std=std)
    expected = np.stack([normal(image=image)["image"] for image in images])
    scale, shift = (1 / (255 * torch.tensor(std))), (-torch.tensor(mean) / torch.tensor(std))
    found = torch.addcmul(shift, torch.from_numpy(images).float(), scale).numpy()
    assert abs(found - expected).max() < 1e-6


def drawn(warp, count=4000):
    """Return parameters as the twin draws them, and as albumentations does."""
    warp.set_random_seed(5)
    data = {"shape": (SIDE, SIDE, 3)}
    theirs = [warp.get_params_dependent_on_data(data, {}) for _ in range(count)]
    twin = make_twins([warp], (3, SIDE, SIDE))[0]
    uniform = np.random.default_rng(6).random((count, twin.draws))
    return twin.parameters(uniform), theirs


@pytest.mark.parametrize(
    "text",
    [
        "ShiftScaleRotate(shift_limit=0.1, scale_limit=0.1, rotate_limit=30)",
        "Affine(translate_px={'x': (-2, 5), 'y': (0, 3)}, shear=(-8, 8), scale=(0.8, 1.3), keep_ratio=True)",
        "Rotate(limit=7)",
    ],
)
def test_warps_are_distributed_alike(text):
    """Each of the six numbers of the matrix that says where pixels come from, by Kolmogorov and Smirnov."""
    found, params = drawn(transform(text))
    half = (SIDE - 1) / 2
    centre = np.array([[1, 0, half], [0, 1, half], [0, 0, 1]])
    back = [np.linalg.inv(np.linalg.inv(centre) @ row["matrix"] @ centre) for row in params]
    expected = np.stack([matrix[:2] * [1, 1, 1 / half] for matrix in back]).reshape(-1, 6)
    for place in range(6):
        assert stats.ks_2samp(found[:, place].round(9), expected[:, place].round(9)).pvalue > 1e-3


def test_shifts_are_whole_pixels_truncated_towards_zero():
    """So that 0 is hit twice as often as any other."""
    found, _ = drawn(transform("ShiftScaleRotate(shift_limit=0.1, scale_limit=0, rotate_limit=0)"))
    pixels, counts = np.unique((-found[:, 2] * (SIDE - 1) / 2).round(6), return_counts=True)
    assert pixels.tolist() == [-3, -2, -1, 0, 1, 2, 3]
    shares = np.diff([-3.2, -3, -2, -1]) / 6.4
    expected = np.array([*shares, 2 / 6.4, *shares[::-1]]) * len(found)
    assert stats.chisquare(counts, expected).pvalue > 1e-3


@pytest.mark.parametrize(
    "text",
    [
        "CoarseDropout(max_holes=1, max_height=16, max_width=16)",
        "CoarseDropout(min_holes=1, max_holes=3, min_height=4, max_height=9, min_width=2, max_width=5)",
        "CoarseDropout(num_holes_range=(1, 2), hole_height_range=(0.1, 0.3), hole_width_range=(0.2, 0.5))",
    ],
)
def test_holes_are_distributed_alike(text):
    """Number, sizes and places, each by a chi-square test of both samples."""
    found, params = drawn(transform(text))
    holes = found.reshape(len(found), -1, 4)
    shown = [holes[row][holes[row][:, 2] > 0] for row in range(len(holes))]
    theirs = [row["holes"] for row in params]
    for measure in (
        lambda rows: [len(row) for row in rows],
        lambda rows: np.concatenate(rows)[:, 2] - np.concatenate(rows)[:, 0],
        lambda rows: np.concatenate(rows)[:, 3] - np.concatenate(rows)[:, 1],
        lambda rows: np.concatenate(rows)[:, 0] // 4,
        lambda rows: np.concatenate(rows)[:, 1] // 4,
    ):
        samples = [np.asarray(measure(rows)).astype(int) for rows in (shown, theirs)]
        counts = np.stack([np.bincount(sample, minlength=40) for sample in samples])
        counts = counts[:, counts.sum(axis=0) > 10]
        if counts.shape[1] == 1:
            assert (counts > 0).all()
        else:
            assert stats.chi2_contingency(counts).pvalue > 1e-3


def test_crops_are_distributed_alike():
    found, params = drawn(transform("RandomCrop(25, 29)"))
    corners = np.array([row["crop_coords"][1::-1] for row in params])
    for axis, places in ((0, 8), (1, 4)):
        counts = [np.bincount(sample[:, axis].astype(int), minlength=places) for sample in (found, corners)]
        assert stats.chi2_contingency(counts).pvalue > 1e-3


@pytest.mark.parametrize("back_end", [ours, theirs])
def test_every_transform_hits_with_its_probability_apart_from_the_others(back_end):
    transforms = [transform("HorizontalFlip(p=0.3)"), transform("ToGray(p=0.1)")]
    image = np.zeros((1, SIDE, SIDE, 3), dtype=np.uint8)
    image[:, :, :16, 0] = 200
    out = back_end(transforms, np.repeat(image, 4000, axis=0), (9,))
    mirrored, gray = out[:, 0, 31].any(axis=1), out.max(axis=(1, 2, 3)) < 200
    for share, p in ((mirrored, 0.3), (gray, 0.1), (mirrored & gray, 0.03)):
        assert stats.binomtest(int(share.sum()), len(out), p).pvalue > 1e-3


def test_a_whole_pipeline_makes_alike_pictures(data):
    """Mean and deviation of every pixel over many copies of an image agree between the back ends."""
    described = facts(data)
    transforms = pipeline_of_texts(ASSIGNMENT, described).compose.transforms[:-1]
    images = np.repeat(photos(1), 3000, axis=0)
    first, second = (end(transforms, images).astype(float) for end in (ours, theirs))
    error = np.sqrt((first.var(axis=0) + second.var(axis=0)) / 3000)
    assert (abs(first.mean(axis=0) - second.mean(axis=0)) < 5 * error + 0.1).all()
    assert abs(first.std(axis=0) - second.std(axis=0)).max() < 5


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")  # on a machine with one core
@pytest.mark.parametrize("back_end", ["torch", "albumentations"])
def test_all_augmentations_of_an_epoch_are_distinct_and_repeat_exactly(back_end, data):
    """240 copies of one image through two workers: none alike, nor any of the next epoch."""
    split = Split(np.repeat(photos(1), 240, axis=0), np.zeros(240, dtype=np.int64))
    compose = pipeline_of_texts(["Affine(rotate=(-180, 180), p=1)"], facts(data)).compose

    def epochs(seed):
        feed = make_feed(split, compose, EpochPlan(240, 16, seed), back_end=back_end, workers=2)
        return [
            image.numpy().tobytes() for epoch in (1, 2) for batch, _ in feed.epoch(epoch) for image in batch
        ]

    first = epochs(0)
    assert len(set(first)) == len(first) == 480
    assert epochs(0) == first
    assert not set(first) & set(epochs(1))


def test_a_transform_without_a_twin_is_left_to_albumentations_and_said(data):
    compose = pipeline_of_texts(["GridDistortion()"], facts(data)).compose
    plan = EpochPlan(40, 8, 0)
    feed = make_feed(data.train, compose, plan, workers=0)
    assert feed.back_end == "albumentations"
    assert "GridDistortion has no batched twin" in feed.note
    with pytest.raises(UsageError, match="GridDistortion has no batched twin"):
        make_feed(data.train, compose, plan, back_end="torch")


@pytest.mark.parametrize(
    "text",
    [
        "Affine(fit_output=True)",
        "Affine(interpolation=cv2.INTER_CUBIC)",
        "Rotate(crop_border=True)",
        "ToGray(method='max')",
        "CoarseDropout(fill='random')",
        "PadIfNeeded(40, 40, position='random')",
        "RandomCrop(20, 20, p=0.5)",
        "OneOf()",
    ],
)
def test_a_way_that_has_no_twin_is_not_done_in_another(text):
    chosen = A.OneOf([A.ToGray()]) if text == "OneOf()" else transform(text)
    with pytest.raises(Exception, match="has no batched twin"):
        make_twins([chosen], (3, SIDE, SIDE))


def test_every_twin_is_in_the_contract():
    """Pixels and, where something is drawn, distributions, are tested above for each of these."""
    tested = {meant(parse_call(text)).name for text in (*EXACT, *WARPS, "ToGray()")}
    assert set(RULES) - tested == {"ShiftScaleRotate"}
