"""Settings shared by all tests."""

import os

import matplotlib
from hypothesis import Phase, settings

matplotlib.use("Agg")
settings.register_profile("course", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.register_profile("mutants", settings.get_profile("course"), derandomize=True, database=None,
                          phases=(Phase.explicit, Phase.generate))  # a failure is enough: nobody reads the example
settings.load_profile("course")
