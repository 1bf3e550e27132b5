"""Jinja2 templates and the style sheet of the reports; they arrange and compute nothing."""
