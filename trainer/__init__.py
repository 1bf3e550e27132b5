"""From a network and images to a run folder."""
