"""A shop's recommendation agent: find, recommend and talk, with true facts and a reason."""

__version__ = "0.1.0"
