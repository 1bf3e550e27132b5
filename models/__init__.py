"""The built-in networks, one file each; `registry` finds them by name."""
