"""Whatever a list of images contains, the images are those of the folder."""

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mmlgd.datasets import UnlabeledImages
from mmlgd.datasets import folder_manifest as manifests

CHANGE = st.tuples(st.integers(0, 10**4), st.binary(max_size=4))


@given(st.lists(CHANGE, max_size=4), st.integers(0, 10**4) | st.none())
def test_damage_is_noticed(changes, length):
    settled, manifests._SETTLED = manifests._SETTLED, 0
    try:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / 'images'
            (root / 'b').mkdir(parents=True)
            for name in ('a.jpg', 'b/c.png'):
                (root / name).touch()
            options = dict(cache_dir=f'{folder}/cache')
            UnlabeledImages(str(root), **options)
            (path,) = Path(options['cache_dir']).iterdir()
            content = bytearray(path.read_bytes())
            for place, new in changes:
                begin = place % len(content)
                content[begin : begin + len(new)] = new
            path.write_bytes(content[:length])
            found = [*UnlabeledImages(str(root), **options).image_paths()]
            assert found == [f'{root}/a.jpg', f'{root}/b/c.png']
    finally:
        manifests._SETTLED = settled
