# LGD on 5,500 images: the iterations make ten passes over them instead of one, so that
# it matters how many views of an image there are.
_base_ = './lgd.py'

train_dataloader = dict(dataset=dict(dataset=dict(indices=5500)))
