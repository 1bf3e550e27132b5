"""An analysis as text, in the styles that people know and in our own.

Each style is a pure function from an `Analysis` to a string without colours and without a newline at
the end. What isn't known prints as `unknown`, a field that spans the whole image as `global`, a
non-square one as `5x3` (height x width), one that varies from unit to unit as `≤27`.

    torchsummary_table   rows and totals as torchsummary prints them
    torchscan_table      the module tree with parameters, buffers and backward receptive fields
    tree_table           our own default: shapes, parameters, MACs, field and stride, then the totals
    markdown_table       a row for each layer that does something, then the totals
    html_table           the same, escaped
    csv_table            every figure of every layer, for spreadsheets and scripts
"""

from cifar_report.analyzer.summary_flat import csv_table, html_table, markdown_table
from cifar_report.analyzer.summary_torchscan import torchscan_table
from cifar_report.analyzer.summary_torchsummary import torchsummary_table
from cifar_report.analyzer.summary_tree import tree_table

__all__ = [
    "csv_table",
    "html_table",
    "markdown_table",
    "torchscan_table",
    "torchsummary_table",
    "tree_table",
]
