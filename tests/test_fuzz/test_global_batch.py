"""The record of the global batch in a checkpoint of any content."""

from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import Config

from mmlgd.errors import MMLGDError
from mmlgd.utils.global_batch import set_global_batch
from mmlgd.utils.launch import Ranks

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 70) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
RECORD = st.fixed_dictionaries({}, optional=dict.fromkeys(['size', 'ranks'], PLAIN)) | (
    st.fixed_dictionaries(
        {key: PLAIN | st.integers(1, 70) for key in ('size', 'ranks', 'part', 'config')}
    )
)
TRAINING = st.fixed_dictionaries(
    {}, optional=dict(batch_size=PLAIN, ranks=PLAIN, images=PLAIN)
)
META = st.fixed_dictionaries(
    {}, optional=dict(global_batch=RECORD | PLAIN, training=TRAINING | PLAIN)
)


@given(meta=META, world_size=st.integers(1, 9), batch_size=st.integers(1, 40))
def test_shares_add_up_or_the_record_is_refused(meta, world_size, batch_size):
    total = 0
    for rank in range(world_size):
        loader = dict(batch_size=batch_size, sampler=dict(type='ViewSampler'))
        cfg = Config(dict(train_dataloader=loader))
        try:
            batch = set_global_batch(cfg, Ranks(rank, world_size), meta=meta)
        except MMLGDError:
            return
        total += cfg.train_dataloader.batch_size
    assert total == batch.size
