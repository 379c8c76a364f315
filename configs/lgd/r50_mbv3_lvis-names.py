_base_ = './r50_mbv3_coco-names.py'

model = dict(textual_bank=dict(categories='lvis_v1'))
