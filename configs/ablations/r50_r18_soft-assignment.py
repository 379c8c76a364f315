# Images are assigned to categories softly, with the temperature of the teacher's
# targets, instead of to the most similar one.
_base_ = '../lgd/r50_r18_90e.py'

model = dict(visual_bank=dict(soft_temperature=0.01))
