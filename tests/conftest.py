"""What holds for every test."""

from hypothesis import HealthCheck, settings

# A loaded machine is slow, and no test is about that: an example may take as long as it takes.
settings.register_profile("mobilevit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mobilevit")
