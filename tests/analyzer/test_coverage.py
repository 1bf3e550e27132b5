"""Coverage of whole networks: measured beside an analysis, kept in its JSON, in words, and as constraints."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torchvision
from torch import Tensor, nn

from cifar_report.analyzer import Analysis, analyze
from cifar_report.analyzer.constraints import Verdict, judge, parse_constraint
from cifar_report.analyzer.coverage import Holes
from cifar_report.analyzer.coverage_asked import completed
from cifar_report.analyzer.coverage_measure import measure_coverage
from cifar_report.analyzer.summary import csv_table, markdown_table, tree_table
from cifar_report.analyzer.summary_coverage import coverage_lines, percent


def stack(*dilations: int) -> nn.Sequential:
    return nn.Sequential(*[nn.Conv2d(3, 3, 3, padding=d, dilation=d) for d in dilations])


class Shifted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + x[:, :, 2:, 1:-1]


class Added(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.index_add(2, torch.tensor([0, 0]), x[:, :, :2])


def words(network: nn.Module, side: int = 32) -> dict[str, str]:
    return dict(coverage_lines(measure_coverage(network, (3, side, side))))


def test_holes_are_told_with_their_first_layer_and_the_dilations_from_there_on():
    pooled = nn.Sequential(stack(1, 4, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    coverage = measure_coverage(pooled, (3, 32, 32))
    assert coverage.before_gap.share == 15**2 / 19**2
    assert coverage.holes == Holes("0.1", ("4", "4"), (4, 3))
    assert words(pooled)["Density"] == (
        "62.3 % of the field before global pooling, holes from 0.1 on (gridding: dilations 4, 4); "
        "100 % at the output"
    )


def test_strides_beyond_the_kernel_are_told_by_the_fields_they_leave_apart():
    strided = nn.Sequential(nn.Conv2d(3, 3, 1, stride=2), nn.Conv2d(3, 3, 3))
    assert measure_coverage(strided, (3, 32, 32)).holes == Holes("1", (), (2, 1))
    assert "holes from 1 on (it joins fields of 1 px, 2 px apart)" in words(strided)["Density"]
    high = nn.Sequential(nn.Conv2d(3, 3, 2, stride=(3, 2)), nn.MaxPool2d(3, 1), nn.Conv2d(3, 3, 1, 2))
    assert measure_coverage(high, (3, 32, 32)).holes == Holes("1", (), (3, 2))


def test_branches_with_unlike_kernels_leave_out_corners_and_no_row_or_column():
    with torch.device("meta"):
        network = torchvision.models.inception_v3(weights=None, init_weights=False)
    coverage = measure_coverage(network, (3, 299, 299))
    assert coverage.before_gap.size == (1311, 1311)
    text = dict(coverage_lines(coverage))["Density"]
    assert text.startswith("99.2 % (100 % on the image) of the field before global pooling, corners left out")
    assert "from Mixed_7b.cat on;" in text


def test_a_share_is_rounded_down_so_that_100_means_no_hole():
    assert [percent(share) for share in (1.0, 0.99999, 0.5, 0.0)] == ["100 %", "99.9 %", "50 %", "0 %"]


def test_a_shift_is_told_with_its_join_and_branches():
    assert (
        words(Shifted())["Alignment"]
        == "1 of 1 join of branches off centre: add by 1x0 px (conv; slice of the input)"
    )
    assert "Alignment" not in words(stack(1))


def test_what_is_unknown_is_told_with_the_operator():
    text = words(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), Added()), 16)["Density"]
    assert text.endswith("unknown (index_add in 1) at the output")


def test_coverage_goes_through_json_without_loss_and_is_absent_by_default():
    network = nn.Sequential(stack(2, 2), Shifted())
    bare = analyze(network)
    assert bare.coverage is None
    full = replace(bare, coverage=measure_coverage(network, (3, 32, 32), per_layer=True))
    assert Analysis.from_json(full.to_json()) == full
    assert Analysis.from_json(bare.to_json()) == bare


@pytest.mark.parametrize("style", [tree_table, markdown_table, csv_table])
def test_the_density_of_each_layer_is_a_column_when_it_was_measured(style):
    network = stack(2, 2)
    analysis = analyze(network)
    with_totals = replace(analysis, coverage=measure_coverage(network, (3, 32, 32)))
    with_layers = replace(analysis, coverage=measure_coverage(network, (3, 32, 32), per_layer=True))
    assert "density" not in style(with_totals).splitlines()[0].lower()
    assert "density" in style(with_layers).splitlines()[0].lower()
    assert ("0.36" if style is csv_table else "36 %") in style(with_layers)


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "shufflenet_v2_x0_5", "mnasnet0_5"])
def test_the_box_is_as_large_as_the_field_beyond_the_image_too(name):
    with torch.device("meta"):
        network = getattr(torchvision.models, name)(weights=None)
    fields = analyze(network, (3, 96, 131)).totals.receptive_field
    coverage = measure_coverage(network, (3, 96, 131))
    assert coverage.before_gap.size == fields.before_gap.size
    assert coverage.output.size == fields.output.size
    assert min(coverage.output.size) > 131


def verdict(text: str, network: nn.Module) -> Verdict:
    constraints = [parse_constraint(text)]
    analysis = completed(analyze(network), network, (3, 32, 32), constraints)
    return judge(constraints, analysis)[0]


def test_density_and_misalignment_are_constraints():
    found = verdict("rf.density >= 90%", stack(2, 2, 2))
    assert (found.state, found.measured) == ("not met", "28.99")
    assert found.evidence == "% of the field at the output; holes from 0 on"
    assert verdict("rf.density == 100", stack(1, 2, 3)).state == "met"
    found = verdict("rf.density.before_gap > 50", nn.Sequential(stack(3), nn.AdaptiveAvgPool2d(1)))
    assert (found.state, found.measured) == ("not met", "18.36")
    found = verdict("misalignment == 0", Shifted())
    assert (found.state, found.measured) == ("not met", "1")
    assert found.evidence == "px between conv and slice of the input, which meet at add"
    assert verdict("misalignment == 0", stack(1)).state == "met"


def test_it_is_measured_only_when_a_constraint_asks_for_it():
    network = stack(1)
    analysis = analyze(network)
    assert completed(analysis, network, (3, 32, 32), [parse_constraint("rf > 2")]) is analysis
    choice = [parse_constraint("rf > 2 or rf.density == 100")]
    assert completed(analysis, network, (3, 32, 32), choice).coverage is not None
    unmeasured = judge([parse_constraint("rf.density == 100")], analysis)[0]
    assert (unmeasured.state, unmeasured.evidence) == (
        "unknown",
        "the analysis was made without its coverage",
    )


def test_an_unknown_density_or_join_is_an_unknown_verdict():
    found = verdict("rf.density > 1", nn.Sequential(nn.AdaptiveAvgPool2d(16), Added()))
    assert (found.state, found.evidence) == ("unknown", "unknown at the output: index_add in 1")

    class Rolled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.roll(x, 3, 2)

    class Around(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Rolled()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x)

    found = verdict("misalignment == 0", Around())
    assert (found.state, found.evidence) == ("unknown", "branches can't be compared at inner")
