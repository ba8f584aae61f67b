"""What holds for every test: an example may take as long as a busy machine needs. A deadline would be a timed test."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
