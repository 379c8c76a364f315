"""How many examples the fuzz tests draw: few by default, many in a campaign.

``HYPOTHESIS_PROFILE=campaign python -m pytest tests/test_fuzz`` runs for a long time
and draws other examples in each run.
"""

import os

from hypothesis import HealthCheck, settings

_COMMON = dict(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile('fast', max_examples=40, derandomize=True, **_COMMON)
settings.register_profile('campaign', max_examples=20_000, **_COMMON)
settings.load_profile(os.environ.get('HYPOTHESIS_PROFILE', 'fast'))
